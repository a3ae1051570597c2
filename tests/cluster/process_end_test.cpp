#include "trireme/cluster/process_end.h"

#include <csignal>

#include "trireme/cluster/memory_pressure.h"

namespace trireme::cluster {
namespace {

TEST(ProcessEnd, WaitStatusIsTakenApart) {
  EXPECT_EQ(process_end_from_wait_status(3 << 8).exit_code, 3);  // as exit(3) leaves it
  EXPECT_EQ(process_end_from_wait_status(SIGSEGV).signal, SIGSEGV);
  EXPECT_EQ(process_end_from_wait_status(SIGSEGV | 0x80).signal, SIGSEGV);  // with a core file
  EXPECT_EQ(process_end_from_wait_status(SIGSEGV).exit_code, -1);
}

TEST(ProcessEnd, OnlyDoneAndRequeueAreNoFailure) {
  EXPECT_TRUE((ProcessEnd{.exit_code = 0}.done()));
  EXPECT_TRUE((ProcessEnd{.exit_code = 75}.requeue()));
  EXPECT_FALSE((ProcessEnd{.exit_code = 75}.failed()));
  EXPECT_TRUE((ProcessEnd{.exit_code = 1}.failed()));
  EXPECT_TRUE((ProcessEnd{.exit_code = -1, .signal = SIGKILL}.failed()));
}

TEST(ProcessEnd, WordsNameSignalOrCode) {
  EXPECT_EQ(describe({.exit_code = -1, .signal = SIGKILL}), "killed by SIGKILL (signal 9)");
  EXPECT_EQ(describe({.exit_code = 3}), "exit code 3");
  EXPECT_NE(describe({.exit_code = 75}).find("requeued"), std::string::npos);
  EXPECT_EQ(signal_name(63), "signal 63");
}

TEST(ProcessEnd, KillIsCalledOutOfMemoryOnlyWithEvidence) {
  const ProcessEnd killed{.exit_code = -1, .signal = SIGKILL};
  const auto says_memory = [&](const OutOfMemoryEvidence& evidence) {
    return likely_cause(killed, evidence).find("out of memory") != std::string::npos;
  };
  EXPECT_TRUE(says_memory({.named_in_kernel_log = true}));
  EXPECT_TRUE(says_memory({.cgroup_kills = 1}));
  EXPECT_TRUE(says_memory({.machine_kills = 2}));
  EXPECT_FALSE(says_memory({.cgroup_kills = 0, .machine_kills = 0}));
  EXPECT_FALSE(likely_cause(killed, {}).empty());
}

TEST(ProcessEnd, CommonEndsHaveACause) {
  for (const int signal : {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, SIGXCPU, SIGXFSZ, SIGPIPE, SIGTERM}) {
    EXPECT_FALSE(likely_cause({.exit_code = -1, .signal = signal}, {}).empty()) << signal;
  }
  EXPECT_NE(likely_cause({.exit_code = 127}, {}).find("not found"), std::string::npos);
  EXPECT_NE(likely_cause({.exit_code = 137}, {}).find("SIGKILL"), std::string::npos);
  EXPECT_EQ(likely_cause({.exit_code = 1}, {}), "");
}

TEST(MemoryPressure, CountersAreFoundByTheirWholeName) {
  EXPECT_EQ(counter_in("low 0\noom 5\noom_kill 3\noom_group_kill 9\n", "oom_kill"), 3);
  EXPECT_EQ(counter_in("oom_kill_disable 0\nunder_oom 0\noom_kill 12", "oom_kill"), 12);
  EXPECT_EQ(counter_in("", "oom_kill"), std::nullopt);
  EXPECT_EQ(counter_in("oom_kill x\n", "oom_kill"), std::nullopt);
  EXPECT_EQ(counter_in("oom_kill_disable 1\n", "oom_kill"), std::nullopt);
}

TEST(MemoryPressure, KernelLogNamesTheProcess) {
  const char* line = "3,100,5,-;Memory cgroup out of memory: Killed process 812 (train_gpt) total-vm:1kB";
  EXPECT_TRUE(names_killed_process(line, 812));
  EXPECT_FALSE(names_killed_process(line, 81));
  EXPECT_FALSE(names_killed_process("", 812));
}

TEST(MemoryPressure, QuietMachineGivesNoEvidence) {
  MemoryPressureWatch watch;
  const OutOfMemoryEvidence evidence = watch.evidence(1);
  EXPECT_FALSE(evidence.named_in_kernel_log);
  EXPECT_LE(evidence.cgroup_kills, 0);
}

}  // namespace
}  // namespace trireme::cluster
