// --init and --export: a strategy's parameters and buffers from and to one safetensors file.
#pragma once

#include <string>

#include "trireme/strategies/strategy.h"

namespace trireme::training {

// Fills what this rank holds of the prepared model. Every rank calls it and reads the file. Raises Error naming the
// file and the first tensor that does not fit.
void init_model(const std::string& path, strategies::Strategy& strategy);

// Collective; rank 0 writes the whole model: parameters and buffers under their own names.
void export_model(const std::string& path, strategies::Strategy& strategy);

}  // namespace trireme::training
