"""What `snnrun reproduce` does: the rows of conf/reproduce.yaml run, their runs put on record, and a page of them."""
