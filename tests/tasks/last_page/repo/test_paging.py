import unittest

from paging import page_count, pages


class PagingTest(unittest.TestCase):
    def test_full_pages(self):
        self.assertEqual(pages([1, 2, 3, 4], 2), [[1, 2], [3, 4]])
        self.assertEqual(page_count(4, 2), 2)

    def test_a_size_below_one_is_refused(self):
        with self.assertRaises(ValueError):
            page_count(4, 0)
