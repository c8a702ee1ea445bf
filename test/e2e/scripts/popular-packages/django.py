# packages: django
# result: ["X",42]
from django.conf import settings as django_settings
django_settings.configure(TEMPLATES=[{"BACKEND": "django.template.backends.django.DjangoTemplates"}], USE_TZ=True,
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}})
import django; django.setup()
from django.db import connection
from django.template import Context, Template
with connection.cursor() as cursor: cursor.execute("SELECT 6 * 7"); [answer] = cursor.fetchone()
set_result([Template("{{ name|upper }}").render(Context({"name": "x"})), answer])
