# packages: lxml
# result: [["1","2"],"Hello World"]
from lxml import etree, html
root = etree.fromstring("<root><child n='1'/><child n='2'>text</child></root>")
print(etree.tostring(root, pretty_print=True).decode())
page = html.fromstring("<p>Hello <b>World</b></p>")
set_result([root.xpath("//child/@n"), page.text_content()])
