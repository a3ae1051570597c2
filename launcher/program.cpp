#include "trireme/launcher/program.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <string_view>

#include "trireme/core/base/error.h"

namespace trireme::launcher {
namespace {

bool is_runnable(const std::string& path) {
  struct stat status;
  return ::stat(path.c_str(), &status) == 0 && S_ISREG(status.st_mode) && ::access(path.c_str(), X_OK) == 0;
}

std::vector<std::string> search_folders() {
  std::vector<std::string> folders;
  const char* variable = std::getenv("PATH");
  std::string_view path = variable == nullptr ? "/usr/local/bin:/usr/bin:/bin" : variable;
  while (!path.empty()) {
    const std::size_t length = std::min(path.find(':'), path.size());
    folders.emplace_back(length == 0 ? "." : path.substr(0, length));
    path.remove_prefix(std::min(path.size(), length + 1));
  }
  std::error_code ignored;
  folders.push_back(std::filesystem::read_symlink("/proc/self/exe", ignored).parent_path());
  return folders;
}

std::string find_executable(const std::string& name) {
  if (name.find('/') != std::string::npos) {
    if (!is_runnable(name)) {
      const bool exists = ::access(name.c_str(), F_OK) == 0;
      fail_usage("trireme: cannot start '{}': {}", name,
                 exists ? "it is not an executable file (`chmod +x`, or name its interpreter before it)"
                        : "No such file or directory");
    }
    return name;
  }
  for (const std::string& folder : search_folders()) {
    if (std::string path = folder + "/" + name; is_runnable(path)) {
      return path;
    }
  }
  fail_usage("trireme: cannot start '{}': No such file in the folders of PATH, nor beside the trireme command{}", name,
             ::access(name.c_str(), F_OK) == 0 ? "; it lies in the current directory: write './' before it" : "");
}

}  // namespace

Program find_program(const std::vector<std::string>& command, bool as_module) {
  const std::string& name = command.front();
  require_usage(!name.empty(), "trireme: the program's name after '--' is empty");
  const bool script = name.ends_with(".py") && ::access(name.c_str(), F_OK) == 0 && !is_runnable(name);
  Program program;
  if (as_module || script) {
    program.executable = find_executable("python3");
    program.arguments = {"python3", "-u"};  // unbuffered, so that the last lines before a death are seen
    if (as_module) {
      program.arguments.emplace_back("-m");
    }
  } else {
    program.executable = find_executable(name);
  }
  program.arguments.insert(program.arguments.end(), command.begin(), command.end());
  return program;
}

}  // namespace trireme::launcher
