// From the options of a program to those of its strategy and of its world: for these, and for plans of them.
#pragma once

#include "trireme/comm/environment.h"
#include "trireme/strategies/fully_sharded/fully_sharded.h"
#include "trireme/strategies/mirrored/mirrored.h"
#include "trireme/strategies/parameter_server/parameter_server.h"
#include "trireme/training/program_options.h"

namespace trireme::training {

strategies::MirroredOptions mirrored_options(const ProgramOptions& options);
strategies::FullyShardedOptions fully_sharded_options(const ProgramOptions& options);
strategies::ParameterServerOptions parameter_server_options(const ProgramOptions& options, int servers);
comm::EnvironmentOptions environment_options(const ProgramOptions& options);

}  // namespace trireme::training
