"""The life of a run: created, recorded, ended, selected; its log and its database."""
