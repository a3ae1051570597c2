// Hooks around calls of modules: their order, what they may put on the tape, and what happens when something fails.
#include "trireme/core/nn/hooks.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "trireme/core/nn/activation.h"
#include "trireme/core/nn/embedding.h"
#include "trireme/core/nn/linear.h"
#include "trireme/core/nn/models/gpt.h"
#include "trireme/core/nn/models/mlp.h"
#include "trireme/core/nn/models/resnet.h"
#include "trireme/core/nn/sequential.h"
#include "trireme/core/ops/arithmetic.h"
#include "trireme/core/ops/reduce.h"

namespace trireme::nn {
namespace {

using Log = std::vector<std::string>;

Tensor told(const Tensor& x, Log& log, const std::string& what) {
  return record("told", x.array(), {&x}, [&log, what](const Array& gradient, Gradients& gradients) {
    log.push_back(what);
    gradients.add(0, gradient);
  });
}

class Telling final : public ModuleHooks {
 public:
  Telling(Log& log, std::string name) : log_(log), name_(std::move(name)) {}
  void before_forward(Module&) override { tell("before"); }
  Tensor enter(Module&, const Tensor& input) override {
    tell("enter");
    return told(input, log_, name_ + " post-backward");
  }
  Tensor leave(Module&, const Tensor& output) override {
    tell("leave");
    return told(output, log_, name_ + " pre-backward");
  }
  void after_forward(Module&, bool completed) noexcept override { tell(completed ? "after" : "failed"); }

 private:
  void tell(const char* what) { log_.push_back(name_.empty() ? what : name_ + " " + what); }
  Log& log_;
  std::string name_;
};

struct Doubling final : Module {
  explicit Doubling(Log& told_to) : log(told_to) { weight = add_parameter("weight", {2}, Init::constant(2)); }
  Tensor forward(const Tensor& x) override {
    require(!fails, "the module fails");
    log.push_back("forward");
    return told(x * weight, log, "backward");
  }
  Log& log;
  Tensor weight;
  bool fails = false;
};

struct Parent final : Module {
  explicit Parent(Log& log) : child(add("child", Doubling(log))) {}
  Tensor forward(const Tensor& x) override { return child(x) + 1; }
  Child<Doubling> child;
};

Tensor input_leaf() { return Tensor::leaf(Array::full({2}, 3)); }

TEST(ModuleHooks, SurroundTheCallInForwardAndInBackward) {
  Log log;
  Parent model(log);
  model.initialize(1);
  model.child->set_hooks(std::make_shared<Telling>(log, "unit"));
  const Tensor x = input_leaf();
  const Tensor y = model(x);
  EXPECT_EQ(log, (Log{"unit before", "unit enter", "forward", "unit leave", "unit after"}));
  log.clear();
  ops::sum(y).backward();
  EXPECT_EQ(log, (Log{"unit pre-backward", "backward", "unit post-backward"}));
  EXPECT_EQ(x.grad().to_vector<float>(), (std::vector<float>{2, 2}));
}

TEST(ModuleHooks, StayOutsideOfWhatRunsAgain) {
  Log log;
  Parent model(log);
  model.initialize(1);
  model.child->set_hooks(std::make_shared<Telling>(log, "unit"));
  model.child->set_activation_checkpointing(true);
  const Tensor x = input_leaf();
  const Tensor y = model(x);
  EXPECT_EQ(log, (Log{"unit before", "unit enter", "forward", "unit leave", "unit after"}));
  log.clear();
  ops::sum(y).backward();
  EXPECT_EQ(log, (Log{"unit pre-backward", "forward", "backward", "unit post-backward"}));
  EXPECT_EQ(x.grad().to_vector<float>(), (std::vector<float>{2, 2}));
}

TEST(ModuleHooks, NullRemovesThem) {
  Log log;
  Parent model(log);
  model.initialize(1);
  model.child->set_hooks(std::make_shared<Telling>(log, "unit"));
  model.child->set_hooks(nullptr);
  EXPECT_EQ(model.child->hooks(), nullptr);
  model(input_leaf());
  EXPECT_EQ(log, Log{"forward"});
}

TEST(ModuleHooks, EndEachCallThatBeganEvenIfTheModuleFails) {
  Log log;
  Parent model(log);
  model.initialize(1);
  model.set_hooks(std::make_shared<Telling>(log, "root"));
  model.child->set_hooks(std::make_shared<Telling>(log, "unit"));
  model.child->fails = true;
  EXPECT_THROW(model(input_leaf()), Error);
  EXPECT_EQ(log, (Log{"root before", "root enter", "unit before", "unit enter", "unit failed", "root failed"}));
  log.clear();
  model.child->fails = false;
  model(input_leaf());
  EXPECT_EQ(log.back(), "root after");
}

struct Refusing final : ModuleHooks {
  void before_forward(Module& module) override { fail("no call of '{}' now", module.path()); }
  void after_forward(Module&, bool) noexcept override { ended = true; }
  bool ended = false;
};

TEST(ModuleHooks, ACallThatIsRefusedAtItsStartHasNoEnd) {
  Log log;
  Parent model(log);
  model.initialize(1);
  const auto refusing = std::make_shared<Refusing>();
  model.child->set_hooks(refusing);
  EXPECT_THROW(model(input_leaf()), Error);
  EXPECT_FALSE(refusing->ended);
  EXPECT_EQ(log, Log{});
}

// Removes itself in the middle of a call.
struct Leaving final : ModuleHooks {
  void before_forward(Module& module) override { module.set_hooks(nullptr); }
  void after_forward(Module&, bool completed) noexcept override { *ended = completed; }
  std::shared_ptr<bool> ended = std::make_shared<bool>(false);
};

TEST(ModuleHooks, MayBeRemovedDuringACallWhichTheyEndAllTheSame) {
  Log log;
  Parent model(log);
  model.initialize(1);
  const auto leaving = std::make_shared<Leaving>();
  const std::shared_ptr<bool> ended = leaving->ended;
  model.child->set_hooks(leaving);
  model(input_leaf());
  EXPECT_TRUE(*ended);
}

TEST(ModuleHooks, ACopyOfAModuleIsTheSameModule) {
  Log log;
  Parent model(log);
  Module handle = model;
  handle.set_hooks(std::make_shared<Telling>(log, "root"));
  EXPECT_EQ(model.hooks(), handle.hooks());
}

// Counts calls and remembers where.
struct Counting final : ModuleHooks {
  void before_forward(Module& module) override { paths.push_back(module.path()); }
  void after_forward(Module&, bool completed) noexcept override { ended += completed ? 1 : 0; }
  std::vector<std::string> paths;
  int ended = 0;
};

void watch_all(Module& module, const std::shared_ptr<ModuleHooks>& hooks) {
  module.set_hooks(hooks);
  for (const auto& [name, child] : module.children()) {
    watch_all(*child, hooks);
  }
}

TEST(ModuleHooks, EveryModuleOfTheModelsIsCalledThroughThem) {
  const auto counting = std::make_shared<Counting>();
  const auto modules_called = [&](Module& model, const std::function<void()>& forward) {
    counting->paths.clear();
    counting->ended = 0;
    model.initialize(1);
    watch_all(model, counting);
    forward();
    EXPECT_EQ(counting->ended, static_cast<int>(counting->paths.size()));
    return counting->paths;
  };
  SimpleNet mlp({.inputs = 4, .hidden = 3, .classes = 2});
  EXPECT_EQ(modules_called(mlp,
                           [&] {
                             mlp(Tensor(Array::zeros({1, 4})));
                           }),
            (std::vector<std::string>{"", "fc", "fc.0", "fc.1", "fc.2"}));
  ResNet resnet({.channels = 1, .classes = 2, .blocks = 1, .width = 2});
  const auto called = modules_called(resnet, [&] { resnet(Tensor(Array::zeros({2, 1, 8, 8}))); });
  EXPECT_EQ(called.size(), 1u + 2 + 3 * 5 + 2 * 3 + 1) << "root, stem, blocks, two downsamplings of two, fc";
  GPT gpt({.layers = 1, .heads = 1, .width = 4, .context = 4, .vocab = 8});
  const Array tokens = Array::zeros({1, 4}, DType::u8);
  const std::vector<std::string> expected = {
      "",
      "transformer.wte",
      "transformer.dropout",
      "transformer.h.0",
      "transformer.h.0.ln_1",
      "transformer.h.0.attn.c_attn",
      "transformer.h.0.attn.c_proj",
      "transformer.h.0.attn.dropout",
      "transformer.h.0.ln_2",
      "transformer.h.0.mlp.c_fc",
      "transformer.h.0.mlp.c_proj",
      "transformer.h.0.mlp.dropout",
      "transformer.ln_f",
  };
  EXPECT_EQ(modules_called(gpt, [&] { gpt.loss(tokens, tokens); }), expected);
  EXPECT_EQ(modules_called(gpt, [&] { gpt.logits(tokens); }), expected);
}

TEST(ModuleHooks, AForwardPassOfAnotherKindEndsWhenItFails) {
  GPT gpt({.layers = 1, .heads = 1, .width = 4, .context = 4, .vocab = 8});
  gpt.initialize(1);
  Log log;
  gpt.set_hooks(std::make_shared<Telling>(log, ""));
  const Array tokens = Array::full({1, 4}, 9, DType::u8);  // outside the vocabulary
  EXPECT_THROW(gpt.loss(tokens, tokens), Error);
  EXPECT_EQ(log, (Log{"before", "failed"}));
}

}  // namespace
}  // namespace trireme::nn
