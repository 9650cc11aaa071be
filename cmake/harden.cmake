# Checks that the compiler and the linker add to everything: `./dev lint` looks at what is built (tests/hardened.sh).
# KASKAD_HARDEN=OFF builds without them, to see what they cost.
option(KASKAD_HARDEN "stack protector, checked string functions, read-only relocations" ON)
if(KASKAD_HARDEN)
    include(CheckCCompilerFlag)
    include(CheckPIESupported)
    check_pie_supported()
    foreach(flag -fstack-protector-strong -fstack-clash-protection -fcf-protection)
        string(MAKE_C_IDENTIFIER "KASKAD_HAS${flag}" known)
        check_c_compiler_flag(${flag} ${known})
        if(${known})
            add_compile_options(${flag})
        endif()
    endforeach()
    # Needs optimisation, and hides reads and writes from the sanitizers.
    if(NOT "${CMAKE_C_FLAGS}" MATCHES "-fsanitize")
        add_compile_options($<$<CONFIG:Release,RelWithDebInfo>:-U_FORTIFY_SOURCE>
                            $<$<CONFIG:Release,RelWithDebInfo>:-D_FORTIFY_SOURCE=2>)
    endif()
    add_link_options(-Wl,-z,relro -Wl,-z,now -Wl,-z,noexecstack)
endif()
