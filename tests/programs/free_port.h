// A port on which nobody listens at the moment.
#pragma once

namespace trireme::test {

// Of 127.0.0.1.
int free_port();

}  // namespace trireme::test
