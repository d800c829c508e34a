"""What a run leaves behind: tables, report and page, in one folder that is whole or not there."""
