# packages: xlsxwriter
# result: true
import io, zipfile
import xlsxwriter
workbook = xlsxwriter.Workbook(file := io.BytesIO())
worksheet = workbook.add_worksheet("Costs")
worksheet.write("A1", "Hello", workbook.add_format({"bold": True}))
worksheet.write_formula("A2", "=SUM(1, 2)")
workbook.close()
set_result(b"SUM(1, 2)" in zipfile.ZipFile(file).read("xl/worksheets/sheet1.xml"))
