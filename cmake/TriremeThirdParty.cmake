# The third-party libraries behind the library target, as one imported target `trireme_third_party`. Read by this build
# and, from an installation, by TriremeConfig.cmake. They are private: public headers include none of them but fmt.
# TRIREME_HAS_GLOO and TRIREME_HAS_GRPC say whether the library uses them. libmpi is not here: it is loaded at run time.
include(CMakeFindDependencyMacro)
set(THREADS_PREFER_PTHREAD_FLAG ON)
find_dependency(Threads)
find_dependency(fmt)
find_dependency(spdlog)
find_dependency(Protobuf)

find_path(TRIREME_HWY_INCLUDE hwy/highway.h REQUIRED)
find_library(TRIREME_HWY_LIBRARY hwy REQUIRED)
find_path(TRIREME_XXHASH_INCLUDE xxhash.h REQUIRED)
find_library(TRIREME_XXHASH_LIBRARY xxhash REQUIRED)
mark_as_advanced(TRIREME_HWY_INCLUDE TRIREME_HWY_LIBRARY TRIREME_XXHASH_INCLUDE TRIREME_XXHASH_LIBRARY)

if(NOT TARGET trireme_third_party)
  add_library(trireme_third_party INTERFACE IMPORTED GLOBAL)
  target_include_directories(trireme_third_party SYSTEM INTERFACE "${TRIREME_HWY_INCLUDE}" "${TRIREME_XXHASH_INCLUDE}")
  target_link_libraries(trireme_third_party INTERFACE spdlog::spdlog protobuf::libprotobuf "${TRIREME_HWY_LIBRARY}"
                        "${TRIREME_XXHASH_LIBRARY}" ${CMAKE_DL_LIBS})
  if(TRIREME_HAS_GLOO)
    find_dependency(Gloo CONFIG)
    target_link_libraries(trireme_third_party INTERFACE gloo)
  endif()
  if(TRIREME_HAS_GRPC)
    find_path(TRIREME_GRPC_INCLUDE grpcpp/generic/generic_stub.h REQUIRED)
    target_include_directories(trireme_third_party SYSTEM INTERFACE "${TRIREME_GRPC_INCLUDE}")
    foreach(name grpc++ grpc gpr absl_synchronization)
      find_library(TRIREME_${name}_LIBRARY ${name} REQUIRED)
      mark_as_advanced(TRIREME_${name}_LIBRARY)
      target_link_libraries(trireme_third_party INTERFACE "${TRIREME_${name}_LIBRARY}")
    endforeach()
    # Most programs have no parameter servers: they shall not load gRPC and its two dozen libraries as they start.
    target_link_options(trireme_third_party INTERFACE LINKER:--as-needed)
  endif()
endif()
