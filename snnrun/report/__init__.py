"""`snnrun report`: tables and figures over the folders of many runs, whatever state they are in."""
