# What is installed. Every file has the part of the version in its path or its name that programs are built for, so that a
# second version breaks nothing of the first. What has no version (reprise, reprise.pc, libreprise.so, include/reprise) is
# a link to the version that was installed last.
include(CMakePackageConfigHelpers)

# install_link(FOLDER NAME TARGET): FOLDER/NAME, which leads to TARGET in the same folder. Before 0.2 include/reprise was
# a folder: where it is there, it belongs to that version, and stays.
function(install_link folder name target)
  set(link ${CMAKE_CURRENT_BINARY_DIR}/links/${folder}/${name})
  file(MAKE_DIRECTORY ${CMAKE_CURRENT_BINARY_DIR}/links/${folder})
  file(CREATE_LINK ${target} ${link} SYMBOLIC)
  install(CODE "
  set(there \"\$ENV{DESTDIR}\${CMAKE_INSTALL_PREFIX}/${folder}/${name}\")
  if(IS_SYMLINK \"\${there}\" OR NOT IS_DIRECTORY \"\${there}\")
    file(INSTALL \"${link}\" DESTINATION \"\${CMAKE_INSTALL_PREFIX}/${folder}\" TYPE FILE)
  endif()")
endfunction()

install(TARGETS reprise EXPORT repriseTargets LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(TARGETS reprise_try RUNTIME DESTINATION ${CMAKE_INSTALL_LIBEXECDIR}/${REPRISE_NAME})
install(DIRECTORY include/reprise DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/${REPRISE_NAME})
install_link(${CMAKE_INSTALL_INCLUDEDIR} reprise ${REPRISE_NAME}/reprise)
install(FILES ${REPRISE_GLSL} DESTINATION ${CMAKE_INSTALL_DATADIR}/${REPRISE_NAME}/shaders)
install(FILES tools/packaging/valgrind.supp DESTINATION ${CMAKE_INSTALL_DATADIR}/${REPRISE_NAME})

set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/${REPRISE_NAME})
set(REPRISE_MODELS_DIR ${CMAKE_INSTALL_DATADIR}/${REPRISE_NAME}/models)
install(EXPORT repriseTargets NAMESPACE reprise:: DESTINATION ${package_dir})
configure_package_config_file(tools/packaging/repriseConfig.cmake.in ${CMAKE_CURRENT_BINARY_DIR}/repriseConfig.cmake
                              INSTALL_DESTINATION ${package_dir} PATH_VARS REPRISE_MODELS_DIR)
write_basic_package_version_file(${CMAKE_CURRENT_BINARY_DIR}/repriseConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/repriseConfig.cmake ${CMAKE_CURRENT_BINARY_DIR}/repriseConfigVersion.cmake
        DESTINATION ${package_dir})

set(REPRISE_LINK_FLAG -lreprise)
if(CMAKE_SYSTEM_NAME STREQUAL "Linux") # Android's libraries have no versions
  set(REPRISE_LINK_FLAG -l:libreprise.so.${REPRISE_SOVERSION})
endif()
# Its folders are those of the prefix that is installed to, which may not be the configured one, as they are: what begins
# at the .pc file (pcfiledir) would need that file's folder on every machine that a program with such an rpath runs on.
set(prefix @CMAKE_INSTALL_PREFIX@)
configure_file(tools/packaging/reprise.pc.in reprise.pc.in @ONLY)
install(CODE "configure_file(\"${CMAKE_CURRENT_BINARY_DIR}/reprise.pc.in\" \"${CMAKE_CURRENT_BINARY_DIR}/${REPRISE_NAME}.pc\" @ONLY)")
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/${REPRISE_NAME}.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
install_link(${CMAKE_INSTALL_LIBDIR}/pkgconfig reprise.pc ${REPRISE_NAME}.pc)

if(TARGET reprise_cli)
  install(TARGETS reprise_cli RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR}) # with a link that has no version
  install(TARGETS reprise_bench RUNTIME DESTINATION ${CMAKE_INSTALL_LIBEXECDIR}/${REPRISE_NAME})
  install(FILES tools/cli/reprise.1 DESTINATION ${CMAKE_INSTALL_MANDIR}/man1 RENAME ${REPRISE_NAME}.1)
  install_link(${CMAKE_INSTALL_MANDIR}/man1 reprise.1 ${REPRISE_NAME}.1)
  install(DIRECTORY tools/models DESTINATION ${CMAKE_INSTALL_DATADIR}/${REPRISE_NAME}
          PATTERN QUALITY.md EXCLUDE PATTERN make* EXCLUDE PATTERN *.py EXCLUDE PATTERN sources.tsv EXCLUDE)
endif()

if(REPRISE_ALONE)
  add_custom_target(uninstall COMMAND ${CMAKE_COMMAND} -DMANIFEST=${CMAKE_CURRENT_BINARY_DIR}/install_manifest.txt
                                      -DNAME=${REPRISE_NAME}
                                      -P ${CMAKE_CURRENT_SOURCE_DIR}/tools/packaging/uninstall.cmake VERBATIM)
endif()
