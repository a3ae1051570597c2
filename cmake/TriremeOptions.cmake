# Flags of every target of this project. Never -march: kernels choose their instruction set at run time.
include(GNUInstallDirs)

if(NOT CMAKE_BUILD_TYPE AND NOT CMAKE_CONFIGURATION_TYPES)
  set(CMAKE_BUILD_TYPE Release CACHE STRING "Build type" FORCE)
endif()
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/bin")
set(TRIREME_SANITIZE "" CACHE STRING "Sanitizers to build with: 'address,undefined', 'thread' or nothing")
if(TRIREME_SANITIZE)  # instrumented kernels take minutes to compile at -O3, and none of the errors looked for needs it
  set(CMAKE_CXX_FLAGS_RELEASE "-O1 -DNDEBUG")
else()
  set(CMAKE_CXX_FLAGS_RELEASE "-O3 -DNDEBUG")
endif()

find_program(TRIREME_CCACHE ccache)
if(TRIREME_CCACHE AND PROJECT_IS_TOP_LEVEL)
  # Precompiled headers can only be cached with these settings; paths are seen relative to the tree.
  set(CMAKE_CXX_COMPILER_LAUNCHER "${CMAKE_COMMAND}" -E env "CCACHE_BASEDIR=${CMAKE_SOURCE_DIR}" CCACHE_NOHASHDIR=1
      CCACHE_SLOPPINESS=pch_defines,time_macros,include_file_mtime,include_file_ctime "${TRIREME_CCACHE}")
endif()

add_library(trireme_warnings INTERFACE)
# -ffp-contract=off: a product and a sum are fused only where a kernel says so; bits must not depend on inlining.
target_compile_options(trireme_warnings INTERFACE -Wall -Wextra -Werror -ffp-contract=off
                       $<$<CXX_COMPILER_ID:GNU>:-Wno-error=array-bounds -Wno-error=stringop-overflow -Wno-psabi>)
if(TRIREME_SANITIZE)
  # GCC 12 takes instrumented standard containers (std::regex, std::function) for uninitialized ones.
  add_compile_options(-fsanitize=${TRIREME_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all -g1
                      $<$<CXX_COMPILER_ID:GNU>:-Wno-maybe-uninitialized>)
  add_link_options(-fsanitize=${TRIREME_SANITIZE})
endif()
