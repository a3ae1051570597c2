# `cmake --install`: the library, its headers as <trireme/FOLDER/file.h>, package files for find_package(Trireme) and
# for pkg-config, and the programs. scripts/check_install builds examples/standalone against the result.
include(CMakePackageConfigHelpers)

install(TARGETS trireme EXPORT TriremeTargets ARCHIVE DESTINATION "${CMAKE_INSTALL_LIBDIR}")
foreach(folder core comm sharding cluster strategies checkpoint training)
  if(EXISTS "${CMAKE_CURRENT_SOURCE_DIR}/${folder}")
    install(DIRECTORY ${folder} DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}/trireme"
            FILES_MATCHING PATTERN "*.h" REGEX "${TRIREME_SOURCE_PARTS}" EXCLUDE)
  endif()
endforeach()
install(FILES "${CMAKE_CURRENT_BINARY_DIR}/umbrella/trireme/trireme.h"
        DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}/trireme")

set(trireme_package_dir "${CMAKE_INSTALL_LIBDIR}/cmake/Trireme")
install(EXPORT TriremeTargets NAMESPACE trireme:: DESTINATION "${trireme_package_dir}")
configure_package_config_file(cmake/TriremeConfig.cmake.in TriremeConfig.cmake
                              INSTALL_DESTINATION "${trireme_package_dir}")
write_basic_package_version_file(TriremeConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES "${CMAKE_CURRENT_BINARY_DIR}/TriremeConfig.cmake" "${CMAKE_CURRENT_BINARY_DIR}/TriremeConfigVersion.cmake"
              cmake/TriremeThirdParty.cmake DESTINATION "${trireme_package_dir}")
# The package file finds its prefix from where it lies, so an installation can be moved.
file(RELATIVE_PATH trireme_pc_to_prefix "/${CMAKE_INSTALL_LIBDIR}/pkgconfig" "/")
string(REGEX REPLACE "/$" "" trireme_pc_to_prefix "${trireme_pc_to_prefix}")
set(trireme_pc_backends "")
if(CMAKE_DL_LIBS)
  string(APPEND trireme_pc_backends "-l${CMAKE_DL_LIBS}")
endif()
if(TRIREME_HAS_GLOO)
  string(APPEND trireme_pc_backends " -lgloo")
endif()
set(trireme_pc_requires "")
if(TRIREME_HAS_GRPC)
  string(APPEND trireme_pc_requires " grpc++")
endif()
configure_file(cmake/trireme.pc.in trireme.pc @ONLY)
install(FILES "${CMAKE_CURRENT_BINARY_DIR}/trireme.pc" DESTINATION "${CMAKE_INSTALL_LIBDIR}/pkgconfig")

if(TRIREME_BUILD_PROGRAMS)
  foreach(program trireme_cli train_gpt train_classifier train_recommender)
    if(TARGET ${program})
      install(TARGETS ${program} RUNTIME DESTINATION "${CMAKE_INSTALL_BINDIR}")
    endif()
  endforeach()
endif()
