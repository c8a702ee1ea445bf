# packages: jinja2
# result: ["<title>A &amp; B</title>","3"]
from jinja2 import DictLoader, Environment, select_autoescape
pages = {"base": "<title>{% block title %}{% endblock %}</title>", "page": "{% extends 'base' %}{% block title %}{{ name }}{% endblock %}"}
env = Environment(loader=DictLoader(pages), autoescape=select_autoescape(default=True, default_for_string=True))
set_result([env.get_template("page").render(name="A & B"), env.from_string("{{ [1, 2] | sum }}").render()])
