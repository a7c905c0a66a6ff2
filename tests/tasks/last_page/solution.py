"""Round up, and test a page that is not full."""

from tests.tasks.steps import files, replace, turn, view

REPLIES = [
    turn("I look at what there is.", files()),
    turn("I read the code and its tests.", view("paging.py"), view("test_paging.py")),
    turn(
        "`page_count` rounds down, so a last page that is not full does not count. It must round "
        "up. I add a test for that.",
        replace("paging.py", "return total // size", "return -(-total // size)"),
        replace(
            "test_paging.py",
            "    def test_a_size_below_one",
            "    def test_a_last_page_that_is_not_full(self):\n"
            "        self.assertEqual(pages([1, 2, 3, 4, 5], 2), [[1, 2], [3, 4], [5]])\n"
            "        self.assertEqual(page_count(5, 2), 3)\n\n"
            "    def test_a_size_below_one",
        ),
    ),
    turn("I read it again.", view("paging.py")),
    turn("`page_count` now rounds up, so no item is lost; a test holds it. I could not run it."),
]
