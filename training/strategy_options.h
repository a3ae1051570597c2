// From the options of a program to those of its strategy: for the strategy itself, and for plans of it.
#pragma once

#include "trireme/strategies/fully_sharded/fully_sharded.h"
#include "trireme/strategies/mirrored/mirrored.h"
#include "trireme/strategies/parameter_server/parameter_server.h"
#include "trireme/training/program_options.h"

namespace trireme::training {

strategies::MirroredOptions mirrored_options(const ProgramOptions& options);
strategies::FullyShardedOptions fully_sharded_options(const ProgramOptions& options);
strategies::ParameterServerOptions parameter_server_options(const ProgramOptions& options);

}  // namespace trireme::training
