# packages: openpyxl
# result: [[42,null,null],[1,2,3]]
import io
from openpyxl import Workbook, load_workbook
wb = Workbook()
wb.active["A1"] = 42
wb.active.append([1, 2, 3])
wb.save(file := io.BytesIO())
set_result(list(load_workbook(io.BytesIO(file.getvalue())).active.values))
