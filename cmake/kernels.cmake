# The kernels are written once and compiled once per instruction set; the set is chosen at run time.
file(GLOB KASKAD_KERNEL_SOURCES CONFIGURE_DEPENDS src/tensor/kernels/*.c)
set(KASKAD_KERNEL_OBJECTS)

# Objects of all kernels for one instruction set: kaskad_kernel_objects(name flags…).
function(kaskad_kernel_objects isa)
    add_library(kaskad_kernels_${isa} OBJECT ${KASKAD_KERNEL_SOURCES})
    target_include_directories(kaskad_kernels_${isa} PRIVATE ${PROJECT_SOURCE_DIR}/include ${PROJECT_SOURCE_DIR}/src)
    target_compile_definitions(kaskad_kernels_${isa} PRIVATE KSK_ISA_${isa} KSK_ISA=${isa})
    target_compile_options(kaskad_kernels_${isa} PRIVATE -O3 -Wno-psabi ${ARGN})
endfunction()

# The same, as part of the library.
function(kaskad_kernels isa)
    kaskad_kernel_objects(${isa} ${ARGN})
    list(APPEND KASKAD_KERNEL_OBJECTS $<TARGET_OBJECTS:kaskad_kernels_${isa}>)
    set(KASKAD_KERNEL_OBJECTS ${KASKAD_KERNEL_OBJECTS} PARENT_SCOPE)
endfunction()

kaskad_kernels(scalar)
if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
    kaskad_kernels(avx2 -mavx2 -mfma -mf16c)
    kaskad_kernels(avx512 -mavx512f -mavx512bw -mavx512vl -mavx512dq -mavx2 -mfma -mf16c
                   -mprefer-vector-width=512)
endif()
