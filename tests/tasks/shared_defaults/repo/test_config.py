import unittest

import config


class ConfigTest(unittest.TestCase):
    def test_what_the_user_says_goes_first(self):
        found = config.load({"server": {"port": 9000}})
        self.assertEqual(found["server"]["port"], 9000)
        self.assertEqual(found["server"]["host"], "127.0.0.1")
