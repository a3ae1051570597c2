#include "tests/support/temp_dir.h"

#include <cstdlib>
#include <stdexcept>

namespace trireme::test {

TempDir::TempDir() {
  std::string pattern = (std::filesystem::temp_directory_path() / "trireme_test_XXXXXX").string();
  if (mkdtemp(pattern.data()) == nullptr) {
    throw std::runtime_error("mkdtemp failed for " + pattern);
  }
  path_ = pattern;
}

TempDir::~TempDir() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

}  // namespace trireme::test
