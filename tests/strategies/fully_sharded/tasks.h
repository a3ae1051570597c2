// Models that are awkward to shard, for tests.
#pragma once

#include "tests/strategies/fully_sharded/runs.h"

namespace trireme::test {

// A small residual network: convolutions, and batch normalization with running statistics.
Task resnet();
// The GPT with dropout; its blocks' activations computed again in backward, or not.
Task gpt_with_dropout(bool checkpointed);
// Two units that share a weight, a scalar, a frozen layer, a weight that no leaf uses, a head of which each leaf uses
// one half, and parameters of fewer rows than there are ranks.
Task odd();
// A sparse table of 37 rows of which each leaf names a few, and a dense layer.
Task table();

}  // namespace trireme::test
