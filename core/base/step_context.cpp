#include "trireme/core/base/step_context.h"

namespace trireme {

StepContext& step_context() {
  thread_local constinit StepContext context;
  return context;
}

}  // namespace trireme
