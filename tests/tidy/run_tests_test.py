"""scripts/run_tests counts what really passed: programs that crash, hang or lie do not get away with it."""
import os
import subprocess
import tempfile
import unittest
from pathlib import Path

RUN_TESTS = Path(__file__).resolve().parents[2] / "scripts" / "run_tests"
LIST = 'if [ "$1" = --gtest_list_tests ]; then printf "A.\\n  one\\n  two\\n"; exit 0; fi\n'
RUN_ONE = 'printf "[ RUN      ] A.one\\n[       OK ] A.one (0 ms)\\n[ RUN      ] A.two\\n"\n'


def last_line(*bodies, limit="20"):
    with tempfile.TemporaryDirectory() as folder:
        tests = Path(folder) / "tests"
        tests.mkdir()
        for number, body in enumerate(bodies):
            program = tests / f"test_{number}"
            program.write_text("#!/bin/sh\n" + LIST + body)
            program.chmod(0o755)
        done = subprocess.run([RUN_TESTS, folder, "--limit", limit], capture_output=True, text=True)
        return done.returncode, done.stdout.splitlines()[-1]


class RunTests(unittest.TestCase):
    def test_all_passed(self):
        self.assertEqual(last_line(RUN_ONE + 'printf "[       OK ] A.two (0 ms)\\n"\n'), (0, "2 passed, 0 failed"))

    def test_a_failed_case_counts_once(self):
        self.assertEqual(last_line(RUN_ONE + 'printf "[  FAILED  ] A.two (0 ms)\\n[  FAILED  ] A.two\\n"; exit 1\n'),
                         (1, "1 passed, 1 failed"))

    def test_a_skipped_case_counts_as_nothing(self):
        self.assertEqual(last_line(RUN_ONE + 'printf "[  SKIPPED ] A.two (0 ms)\\n"\n'), (0, "1 passed, 0 failed"))

    def test_a_skipped_case_tells_its_reason(self):
        with tempfile.TemporaryDirectory() as folder:
            (Path(folder) / "tests").mkdir()
            program = Path(folder) / "tests" / "test_skips"
            program.write_text("#!/bin/sh\n" + LIST + RUN_ONE +
                               'printf "a/b_test.cpp:21: Skipped\nno torch\n\n[  SKIPPED ] A.two (0 ms)\n"\n')
            program.chmod(0o755)
            done = subprocess.run([RUN_TESTS, folder], capture_output=True, text=True)
        self.assertIn("skipped: test_skips: A.two: no torch", done.stdout)

    def test_a_crash_fails_what_had_not_passed(self):
        self.assertEqual(last_line(RUN_ONE + "kill -SEGV $$\n"), (1, "1 passed, 1 failed"))

    def test_an_early_exit_without_error_fails_the_rest(self):
        self.assertEqual(last_line(RUN_ONE + "exit 0\n"), (1, "1 passed, 1 failed"))

    def test_a_bad_end_after_all_cases_is_a_failure(self):
        self.assertEqual(last_line(RUN_ONE + 'printf "[       OK ] A.two (0 ms)\\n"; exit 66\n'),
                         (1, "2 passed, 1 failed"))

    def test_a_hang_is_stopped(self):
        self.assertEqual(last_line(RUN_ONE + "sleep 60\n", limit="0.5"), (1, "1 passed, 1 failed"))

    def test_a_program_that_cannot_be_listed_is_a_failure(self):
        with tempfile.TemporaryDirectory() as folder:
            (Path(folder) / "tests").mkdir()
            program = Path(folder) / "tests" / "test_bad"
            program.write_text("#!/bin/sh\nexit 3\n")
            program.chmod(0o755)
            done = subprocess.run([RUN_TESTS, folder], capture_output=True, text=True)
        self.assertEqual((done.returncode, done.stdout.splitlines()[-1]), (1, "0 passed, 1 failed"))

    def test_a_case_under_mpirun_must_pass_on_every_rank(self):
        rank = 'n=$OMPI_COMM_WORLD_RANK\n[ "$n" = 1 ] && last=FAILED || last=OK\n'
        body = (rank + 'printf "[ RUN      ] A.one\\n[       OK ] A.one (0 ms)\\n[ RUN      ] A.two\\n"\n'
                'printf "[  $last  ] A.two (0 ms)\\n"\n')
        mpirun = ('#!/bin/sh\nn=$2\nshift 4\nfor r in $(seq 0 $((n - 1))); do\n'
                  '  OMPI_COMM_WORLD_RANK=$r "$@" | sed "s/^/[1,$r]<stdout>:/"\ndone\n')
        with tempfile.TemporaryDirectory() as folder:
            (Path(folder) / "tests").mkdir()
            for name, text in (("tests/test_comm", "#!/bin/sh\n" + LIST + body), ("mpirun", mpirun)):
                (Path(folder) / name).write_text(text)
                (Path(folder) / name).chmod(0o755)
            path = f"{folder}:{os.environ['PATH']}"
            done = subprocess.run([RUN_TESTS, folder], capture_output=True, text=True, env=os.environ | {"PATH": path})
        # Alone both cases pass, and so they do as the only rank; of 2, 3, 4 and 7 ranks, rank 1 fails the second.
        self.assertEqual(done.stdout.splitlines()[-1], "8 passed, 4 failed")

    def test_no_program_is_a_failure(self):
        self.assertEqual(last_line(), (1, "0 passed, 1 failed"))


if __name__ == "__main__":
    unittest.main()
