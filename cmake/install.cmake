# What is installed, in two parts: `runtime`, the program and the shared library, and `dev`, what it takes to
# build against it. The pkg-config file and the CMake package find their prefix from where they stand.
set(KASKAD_PC_DIR ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
set(KASKAD_CMAKE_DIR ${CMAKE_INSTALL_LIBDIR}/cmake/kaskad)
file(RELATIVE_PATH KASKAD_PC_TO_PREFIX /${KASKAD_PC_DIR} /)
string(REGEX REPLACE "/$" "" KASKAD_PC_TO_PREFIX ${KASKAD_PC_TO_PREFIX})

install(TARGETS kaskad_shared EXPORT kaskad-targets
        LIBRARY COMPONENT runtime NAMELINK_COMPONENT dev
        INCLUDES DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(TARGETS kaskad_static ARCHIVE COMPONENT dev)
if(TARGET kaskad)
    install(TARGETS kaskad RUNTIME COMPONENT runtime)
endif()
install(FILES docs/man/kaskad.1 DESTINATION ${CMAKE_INSTALL_MANDIR}/man1 COMPONENT runtime)
install(FILES README.md CHANGELOG.md TYPE DOC COMPONENT runtime)
install(FILES LICENSE TYPE DOC RENAME copyright COMPONENT runtime)
install(FILES LICENSE DESTINATION ${CMAKE_INSTALL_DATAROOTDIR}/doc/libkaskad-dev RENAME copyright COMPONENT dev)

install(DIRECTORY include/kaskad TYPE INCLUDE COMPONENT dev)
install(DIRECTORY plugins/templates DESTINATION ${CMAKE_INSTALL_DATADIR}/kaskad COMPONENT dev)
install(DIRECTORY examples TYPE DOC COMPONENT dev)

configure_file(cmake/kaskad.pc.in kaskad.pc @ONLY)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/kaskad.pc DESTINATION ${KASKAD_PC_DIR} COMPONENT dev)

include(CMakePackageConfigHelpers)
configure_package_config_file(cmake/kaskad-config.cmake.in kaskad-config.cmake
                              INSTALL_DESTINATION ${KASKAD_CMAKE_DIR})
# Until 1.0 any minor version may change the interfaces.
write_basic_package_version_file(kaskad-config-version.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/kaskad-config.cmake
        ${CMAKE_CURRENT_BINARY_DIR}/kaskad-config-version.cmake
        DESTINATION ${KASKAD_CMAKE_DIR} COMPONENT dev)
install(EXPORT kaskad-targets NAMESPACE kaskad:: DESTINATION ${KASKAD_CMAKE_DIR} COMPONENT dev)
