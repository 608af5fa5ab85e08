"""Findings beside a table of what is really there: FROC, CPM and hits, by LUNA16's rules."""
