#include "trireme/comm/environment/meeting.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>
#include <thread>

#include "trireme/comm/environment/interfaces.h"
#include "trireme/comm/environment/slurm_address.h"
#include "trireme/core/base/error.h"

namespace trireme::comm {
namespace {

using std::chrono::milliseconds;
using testing::HasSubstr;

Place three_ranks(const char* launcher) {
  Place place;
  place.launcher = launcher;
  place.size = place.local_size = 3;
  place.local_rank = place.node = 0;
  place.nodes = 1;
  return place;
}

TEST(Meeting, ThePortsOfAJobAreItsOwnAndInTheDocumentedRange) {
  std::set<int> all;
  for (int job = 0; job < 100; ++job) {
    const std::vector<int> ports = derived_ports("slurm/" + std::to_string(job) + ".0/");
    EXPECT_EQ(ports.size(), static_cast<std::size_t>(kPortsTried));
    EXPECT_EQ(std::set<int>(ports.begin(), ports.end()).size(), ports.size());
    for (const int port : ports) {
      EXPECT_GE(port, kFirstDerivedPort);
      EXPECT_LT(port, kFirstDerivedPort + kDerivedPorts);
    }
    EXPECT_EQ(ports, derived_ports("slurm/" + std::to_string(job) + ".0/"));
    all.insert(ports.begin(), ports.end());
  }
  EXPECT_GT(all.size(), 700u);  // 800 drawn from 10000
}

TEST(Meeting, APortThatIsNamedIsTheOne) {
  Place place = three_ranks("torchrun");
  place.master_address = "node-a";
  place.master_port = 29500;
  place.job = "torchrun/j";
  auto meeting = find_meeting_point(place, "token");
  ASSERT_TRUE(meeting);
  EXPECT_EQ(meeting->address, "node-a");
  EXPECT_THAT(meeting->ports, testing::ElementsAre(29500));
  EXPECT_EQ(meeting->token, "token");
  place.master_port_taken = true;  // torchrun's agent has its store there
  meeting = find_meeting_point(place, "");
  EXPECT_EQ(meeting->ports, derived_ports("torchrun/j"));
  EXPECT_THAT(meeting->token, HasSubstr("job "));
}

TEST(Meeting, OneHostMeetsOnLoopback) {
  Place place = three_ranks("Open MPI");
  place.job = "mpirun/7";
  place.secret = "secret";
  const auto meeting = find_meeting_point(place, "");
  ASSERT_TRUE(meeting);
  EXPECT_EQ(meeting->address, "127.0.0.1");
  EXPECT_EQ(meeting->ports, derived_ports("mpirun/7"));
  EXPECT_EQ(meeting->token, "secret");
  EXPECT_FALSE(meeting->several_hosts);
}

TEST(Meeting, WithoutANameTheParentProcessNamesTheJob) {
  const auto meeting = find_meeting_point(three_ranks("MPICH"), "");
  ASSERT_TRUE(meeting);
  EXPECT_EQ(meeting->ports, find_meeting_point(three_ranks("MPICH"), "")->ports);
}

TEST(Meeting, SlurmsFirstHostServes) {
  Place place = three_ranks("Slurm");
  place.local_size = 2;
  place.nodes = 2;
  place.hosts = {"localhost", "elsewhere"};
  place.job = "slurm/1.0/";
  const auto meeting = find_meeting_point(place, "");
  ASSERT_TRUE(meeting);
  EXPECT_EQ(meeting->address, "localhost");
  EXPECT_TRUE(meeting->several_hosts);
}

TEST(Meeting, SeveralHostsThatNobodyNamesHaveNone) {
  Place place = three_ranks("MVAPICH");
  place.local_size = 2;
  EXPECT_FALSE(find_meeting_point(place, ""));
  EXPECT_THAT(how_to_name_one(place), testing::AllOf(HasSubstr("MASTER_ADDR"), HasSubstr("mpiexec -genv")));
  place.launcher = "Open MPI";
  EXPECT_THAT(how_to_name_one(place), HasSubstr("mpirun -x MASTER_ADDR"));
}

TEST(Meeting, ATakenPortIsPassedOver) {
  const std::vector<int> ports = derived_ports("meeting test " + std::to_string(getpid()));
  const TcpStoreServer other("127.0.0.1", ports[0], "another job's token");
  const MeetingPoint meeting{.address = "127.0.0.1", .ports = ports, .token = "ours"};
  std::thread late([&] {
    std::this_thread::sleep_for(milliseconds(30));  // the others may be first
    const auto server = serve(meeting);
    EXPECT_NE(server->port(), ports[0]);
    const auto store = join(meeting, milliseconds(5000));
    EXPECT_EQ(store->get("from", milliseconds(5000)), "rank 1");
    store->set("seen", "1");
    store->get("done", milliseconds(5000));
  });
  const auto store = join(meeting, milliseconds(5000));
  store->set("from", "rank 1");
  EXPECT_EQ(store->get("seen", milliseconds(5000)), "1");
  store->set("done", "1");
  late.join();
}

TEST(Meeting, NobodyThereIsAnErrorThatSaysWhereItLooked) {
  const std::vector<int> ports = derived_ports("nobody " + std::to_string(getpid()));
  const TcpStoreServer other("127.0.0.1", ports[1], "another job's token");
  try {
    join({.address = "127.0.0.1", .ports = ports, .token = "ours"}, milliseconds(100));
    ADD_FAILURE() << "no error";
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), testing::AllOf(HasSubstr(std::to_string(ports[0])), HasSubstr("wrong job token"),
                                             HasSubstr("MASTER_ADDR and MASTER_PORT")));
  }
}

TEST(Meeting, AllPortsTakenIsAnError) {
  const TcpStoreServer other("127.0.0.1", 0, "");
  EXPECT_THROW(serve({.address = "127.0.0.1", .ports = {other.port()}, .token = ""}), Error);
}

TEST(Interfaces, AreListedAndNamed) {
  EXPECT_EQ(address_of_interface("lo", true), "127.0.0.1");
  try {
    address_of_interface("nope", true);
    ADD_FAILURE() << "no error";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::usage);
    EXPECT_THAT(error.what(), testing::AllOf(HasSubstr("--interface nope"), HasSubstr("lo (127.0.0.1)")));
  }
  EXPECT_TRUE(is_loopback("127.0.0.1"));
  EXPECT_TRUE(is_loopback("::1"));
  EXPECT_FALSE(is_loopback("10.1.2.3"));
  EXPECT_FALSE(has_address("no-such-host.invalid"));
}

TEST(SlurmAddress, IsTheWordAfterNodeAddr) {
  EXPECT_EQ(node_address_in("NodeName=n1 NodeAddr=10.0.0.7 NodeHostName=vm\n"), "10.0.0.7");
  EXPECT_EQ(node_address_in("NodeAddr=n7"), "n7");
  EXPECT_EQ(node_address_in("slurm_load_node error"), "");
  EXPECT_EQ(slurm_address_of_node("no-such-node"), "");
}

}  // namespace
}  // namespace trireme::comm
