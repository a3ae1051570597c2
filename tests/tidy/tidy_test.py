"""The checks find what they are there to find, and leave good files alone."""
import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import contract  # noqa: E402
import includes  # noqa: E402
import text  # noqa: E402
from tree import Tree  # noqa: E402


def places(check, **files):
    def path(name):
        return name.replace("__", "/").replace("_cpp", ".cpp").replace("_h", ".h")

    tree = Tree({path(name): body for name, body in files.items()})
    return [finding.place for finding in check(tree)]


class Includes(unittest.TestCase):
    def test_upward_and_sideways_edges_are_found(self):
        self.assertEqual(places(includes.check_direction, core__base__a_h='#include "trireme/core/ops/gelu.h"\n'),
                         ["core/base/a.h:1"])
        self.assertEqual(places(includes.check_direction, comm__a_h='\n#include "trireme/sharding/plan.h"\n'),
                         ["comm/a.h:2"])
        self.assertEqual(places(includes.check_direction, core__nn__a_h='#include "trireme/core/optim/sgd.h"\n'),
                         ["core/nn/a.h:1"])
        self.assertEqual(places(includes.check_direction, core__a_h="\n"), ["core/a.h"])

    def test_downward_edges_and_the_own_folder_pass(self):
        self.assertEqual(places(includes.check_direction, strategies__a_h='#include "trireme/comm/work.h"\n'
                                '#include "trireme/strategies/b.h"\n#include <vector>\n'), [])

    def test_third_party_headers_stay_with_their_owner(self):
        self.assertEqual(places(includes.check_third_party, comm__a_cpp="#include <hwy/highway.h>\n"), ["comm/a.cpp:1"])
        self.assertEqual(places(includes.check_third_party, core__ops__a_h="#include <hwy/highway.h>\n"),
                         ["core/ops/a.h:1"])
        self.assertEqual(places(includes.check_third_party, core__ops__a_cpp="#include <hwy/highway.h>\n"), [])

    def test_own_headers_are_named_as_installed(self):
        self.assertEqual(places(includes.check_style_of_includes, comm__a_cpp='#include "a.h"\n'), ["comm/a.cpp:1"])


class Words(unittest.TestCase):
    def test_left_overs_and_replaced_spellings_are_found(self):
        for line in ("// TO" "DO later", "std::cout << 1;", 'printf("x");', "std::exit(1);", "_exit(1);", "abort();",
                     "assert(x);", "throw std::runtime_error(x);", "#include <iostream>", "int x = rand();",
                     "GTEST_SKIP();"):
            self.assertEqual(places(text.check_words, core__base__a_cpp=line + "\n"), ["core/base/a.cpp:1"], line)

    def test_lookalikes_pass(self):
        for line in ('std::snprintf(b, n, "x");', "communicator.abort(reason);", "void abort(std::string_view reason);",
                     "// never calls exit() itself", 'fail("std::exit(1)");', "static_assert(true);", "on_exit(f);",
                     'std::string pattern = "trireme_XX" "XXXX";', "operand(1);", "GTEST_SKIP() << why;"):
            self.assertEqual(places(text.check_words, core__base__a_cpp=line + "\n"), [], line)

    def test_checkpoints_reach_the_disk_through_file_system_only(self):
        for line in ("#include <fstream>", "#include <fcntl.h>", "::fsync(fd);", "const int n = ::pwrite(fd, p, n, 0);",
                     "std::ofstream file(path);"):
            self.assertEqual(places(text.check_words, checkpoint__a_cpp=line + "\n"), ["checkpoint/a.cpp:1"], line)
        for line in ("files.rename(a, b);", "return ::getpid();", "Reader Reader::open(FileSystem& files);",
                     "// as ::fsync() does"):
            self.assertEqual(places(text.check_words, checkpoint__a_cpp=line + "\n"), [], line)

    def test_programs_may_print(self):
        self.assertEqual(places(text.check_words, examples__a_cpp='printf("x");\n'), [])


class EagerMessages(unittest.TestCase):
    def test_text_made_on_every_call_is_found(self):
        self.assertEqual(places(text.check_eager_messages, comm__a_cpp='require(ok, "a; {}",\n  describe(x));\n'),
                         ["comm/a.cpp:2"])

    def test_values_and_other_calls_pass(self):
        self.assertEqual(places(text.check_eager_messages, comm__a_cpp='require(ok, "describe({})", x);\n'
                                "fail(describe(x));\n"), [])


class Lines(unittest.TestCase):
    def test_long_lines_white_space_and_missing_newlines_are_found(self):
        self.assertEqual(places(text.check_lines, a_h="x" * 121 + "\n"), ["a.h:1"])
        self.assertEqual(places(text.check_lines, a_h="x \n"), ["a.h:1"])
        self.assertEqual(places(text.check_lines, a_h="\tx\n"), ["a.h:1"])
        self.assertEqual(places(text.check_lines, a_h="x"), ["a.h"])
        self.assertEqual(places(text.check_lines, a_h="x" * 120 + "\n"), [])

    def test_long_files_are_found(self):
        self.assertEqual(places(text.check_length, a_h="x\n" * (text.FILE_MAX + 1)), ["a.h"])
        self.assertEqual(places(text.check_length, a_h="x\n" * text.FILE_MAX), [])


class Help(unittest.TestCase):
    TEXT = "Options:\n  --order TEXT:{shuffled,sequential}  how\n  --lr FLOAT  rate\n"

    def test_missing_options_and_values_are_found(self):
        self.assertEqual(contract.missing_in_help(self.TEXT, {"--order": ("sequential",), "--lr": ()}), [])
        self.assertEqual(contract.missing_in_help(self.TEXT, {"--lr-schedule": ()}), ["--lr-schedule"])
        self.assertEqual(contract.missing_in_help(self.TEXT, {"--lr": ("shuffled",)}), ["--lr shuffled"])


if __name__ == "__main__":
    unittest.main()
