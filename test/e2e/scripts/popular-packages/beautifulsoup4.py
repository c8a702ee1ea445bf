# packages: beautifulsoup4
# result: ["bad","HTML link",["/x"]]
from bs4 import BeautifulSoup
soup = BeautifulSoup("<p>Some<b>bad<i>HTML <a href='/x'>link</a>", "html.parser")
print(soup.prettify())
set_result([soup.find(text="bad"), soup.i.get_text(), [a["href"] for a in soup.find_all("a")]])
