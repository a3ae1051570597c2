#include "trireme/cluster/fault.h"

#include <csignal>

#include "trireme/core/base/error.h"

namespace trireme::cluster {
namespace {

TEST(Fault, EveryKindIsRead) {
  EXPECT_EQ(parse_fault("kill:rank=1,step=3").kind, Fault::Kind::kill);
  EXPECT_EQ(parse_fault("segv:rank=1,step=3").kind, Fault::Kind::segv);
  EXPECT_EQ(parse_fault("stop:rank=1,step=3").kind, Fault::Kind::stop);
  EXPECT_EQ(parse_fault("exit:rank=1,step=3").kind, Fault::Kind::exit);
  EXPECT_EQ(parse_fault("cut:rank=1,step=3").kind, Fault::Kind::cut);
  EXPECT_EQ(parse_fault("disk_full:rank=1,step=3").kind, Fault::Kind::disk_full);
}

TEST(Fault, PartsAreReadInAnyOrder) {
  const Fault fault = parse_fault("exit:code=7,step=12,rank=3");
  EXPECT_EQ(fault.rank, 3);
  EXPECT_EQ(fault.step, 12);
  EXPECT_EQ(fault.exit_code, 7);
  EXPECT_EQ(parse_fault("kill:coordinator,step=0").rank, Fault::kCoordinator);
  EXPECT_EQ(parse_fault("exit:rank=0,step=1").exit_code, 1);
}

TEST(Fault, TextSurvivesThereAndBack) {
  for (const char* text : {"kill:rank=1,step=3", "exit:rank=0,step=0,code=9", "stop:coordinator,step=77"}) {
    EXPECT_EQ(to_string(parse_fault(text)), text);
  }
}

TEST(Fault, WrongTextNamesItsPartAndTheGrammar) {
  const std::pair<const char*, const char*> cases[] = {
      {"", "no ':'"},
      {"kill", "no ':'"},
      {"burn:rank=1,step=1", "'burn' is no kind"},
      {"kill:rank=x,step=1", "'rank=x' has no whole number"},
      {"kill:rank=-1,step=1", "'rank=-1'"},
      {"kill:rank=1,step=1.5", "'step=1.5'"},
      {"kill:rank=1,step=99999999999999999999", "'step=99999999999999999999'"},
      {"kill:rank=1", "no step=S"},
      {"kill:step=1", "no target"},
      {"kill:rank=1,rank=2,step=1", "'rank=2' comes twice"},
      {"kill:rank=1,coordinator,step=1", "comes twice"},
      {"kill:rank=1,step=1,code=3", "'code=3' is not understood"},
      {"exit:rank=1,step=1,code=256", "'code=256'"},
      {"kill:rank=1,,step=1", "'' is not understood"},
      {"kill:rank=1,step=1,", "'' is not understood"},
  };
  for (const auto& [text, expected] : cases) {
    try {
      parse_fault(text);
      ADD_FAILURE() << text << " was accepted";
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::usage);
      EXPECT_NE(std::string(error.what()).find(expected), std::string::npos) << error.what();
      EXPECT_NE(std::string(error.what()).find("kill:rank=1,step=3"), std::string::npos) << error.what();
    }
  }
}

TEST(Fault, WhatCannotHappenIsRefused) {
  EXPECT_NO_THROW(check_fault(parse_fault("kill:rank=1,step=0"), 2));
  EXPECT_NO_THROW(check_fault(parse_fault("disk_full:rank=0,step=0"), 2));
  EXPECT_THROW(check_fault(parse_fault("kill:rank=2,step=0"), 2), Error);
  EXPECT_THROW(check_fault(parse_fault("kill:coordinator,step=0"), 2), Error);
  EXPECT_THROW(check_fault(parse_fault("cut:rank=0,step=0"), 2), Error);
}

TEST(Fault, SignalsAreThoseOfTheKind) {
  EXPECT_EQ(signal_of({.kind = Fault::Kind::kill}), SIGKILL);
  EXPECT_EQ(signal_of({.kind = Fault::Kind::segv}), SIGSEGV);
  EXPECT_EQ(signal_of({.kind = Fault::Kind::stop}), SIGSTOP);
  EXPECT_EQ(signal_of({.kind = Fault::Kind::exit}), 0);
  EXPECT_EQ(signal_of({.kind = Fault::Kind::disk_full}), 0);
}

}  // namespace
}  // namespace trireme::cluster
