# packages: rich
# result: [true,200]
from rich.console import Console
from rich.table import Table
table = Table("Date", "Title", title="Star Wars")
table.add_row("Dec 20, 2019", "The Rise of Skywalker")
(console := Console(record=True)).print(table, "[bold magenta]World[/bold magenta]")
set_result(["Rise of Skywalker" in console.export_text(), console.width])
