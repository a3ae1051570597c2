#include <dlfcn.h>

#include <mutex>
#include <optional>

#include "trireme/comm/mpi/library-inl.h"
#include "trireme/core/base/error.h"

namespace trireme::comm {
namespace {

constexpr const char* kNames[] = {"libmpi.so.40", "libmpi.so"};

// Global, because Open MPI loads its components later and they use its symbols. Never closed: MPI cannot be.
void* open_library(const std::string& file) {
  std::string reasons;
  const auto try_one = [&](const char* name) {
    void* const handle = dlopen(name, RTLD_NOW | RTLD_GLOBAL);
    if (handle == nullptr) {
      const char* const reason = dlerror();
      reasons += (reasons.empty() ? "" : "; ") + std::string(reason == nullptr ? name : reason);
    }
    return handle;
  };
  if (!file.empty()) {
    if (void* const handle = try_one(file.c_str())) {
      return handle;
    }
  } else {
    for (const char* name : kNames) {
      if (void* const handle = try_one(name)) {
        return handle;
      }
    }
  }
  fail(
      "backend mpi: Open MPI's library cannot be loaded ({}); install it (Debian: openmpi-bin, which brings "
      "libopenmpi3) or choose another backend",
      reasons);
}

class Symbols {
 public:
  explicit Symbols(void* library) : library_(library) {}

  template <class Pointer>
  void find(Pointer& target, const char* name) const {
    void* const address = dlsym(library_, name);
    require(
        address != nullptr,
        "backend mpi: the libmpi that was loaded has no {}, so it is not Open MPI 4 or later; install that (Debian: "
        "openmpi-bin) or choose another backend",
        name);
    target = reinterpret_cast<Pointer>(address);
  }

 private:
  void* library_;
};

void find_functions(Mpi& mpi, const Symbols& symbols) {
  symbols.find(mpi.abort, "MPI_Abort");
  symbols.find(mpi.all_gather, "MPI_Allgather");
  symbols.find(mpi.cancel, "MPI_Cancel");
  symbols.find(mpi.comm_create_group, "MPI_Comm_create_group");
  symbols.find(mpi.comm_dup, "MPI_Comm_dup");
  symbols.find(mpi.comm_get_attr, "MPI_Comm_get_attr");
  symbols.find(mpi.comm_group, "MPI_Comm_group");
  symbols.find(mpi.comm_rank, "MPI_Comm_rank");
  symbols.find(mpi.comm_set_errhandler, "MPI_Comm_set_errhandler");
  symbols.find(mpi.comm_size, "MPI_Comm_size");
  symbols.find(mpi.error_string, "MPI_Error_string");
  symbols.find(mpi.finalize, "MPI_Finalize");
  symbols.find(mpi.finalized, "MPI_Finalized");
  symbols.find(mpi.group_free, "MPI_Group_free");
  symbols.find(mpi.group_incl, "MPI_Group_incl");
  symbols.find(mpi.get_count, "MPI_Get_count");
  symbols.find(mpi.start_all_reduce, "MPI_Iallreduce");
  symbols.find(mpi.start_barrier, "MPI_Ibarrier");
  symbols.find(mpi.init_thread, "MPI_Init_thread");
  symbols.find(mpi.initialized, "MPI_Initialized");
  symbols.find(mpi.start_receive, "MPI_Irecv");
  symbols.find(mpi.start_send, "MPI_Isend");
  symbols.find(mpi.query_thread, "MPI_Query_thread");
  symbols.find(mpi.request_free, "MPI_Request_free");
  symbols.find(mpi.test, "MPI_Test");
}

void find_constants(Mpi& mpi, const Symbols& symbols) {
  symbols.find(mpi.world, "ompi_mpi_comm_world");
  symbols.find(mpi.no_comm, "ompi_mpi_comm_null");
  symbols.find(mpi.no_request, "ompi_request_null");
  symbols.find(mpi.errors_return, "ompi_mpi_errors_return");
  symbols.find(mpi.byte, "ompi_mpi_byte");
  symbols.find(mpi.float32, "ompi_mpi_float");
  symbols.find(mpi.float64, "ompi_mpi_double");
  symbols.find(mpi.int32, "ompi_mpi_int32_t");
  symbols.find(mpi.int64, "ompi_mpi_int64_t");
  symbols.find(mpi.uint8, "ompi_mpi_uint8_t");
  symbols.find(mpi.sum, "ompi_mpi_op_sum");
  symbols.find(mpi.product, "ompi_mpi_op_prod");
  symbols.find(mpi.min, "ompi_mpi_op_min");
  symbols.find(mpi.max, "ompi_mpi_op_max");
}

}  // namespace

const Mpi& load_mpi(const std::string& file) {
  static std::mutex mutex;
  static std::optional<Mpi> loaded;
  const std::lock_guard lock(mutex);
  if (!loaded) {
    const Symbols symbols(open_library(file));
    Mpi mpi{};
    find_constants(mpi, symbols);  // first: they tell Open MPI from others
    find_functions(mpi, symbols);
    loaded = mpi;
  }
  return *loaded;
}

std::string error_text(const Mpi& mpi, int code) {
  char text[MPI_MAX_ERROR_STRING + 1] = {};
  int length = 0;
  return mpi.error_string(code, text, &length) == MPI_SUCCESS ? std::string(text) : fmt::format("MPI error {}", code);
}

}  // namespace trireme::comm
