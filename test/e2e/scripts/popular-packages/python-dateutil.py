# packages: python-dateutil
# result: ["2003-11-11T17:13:46+00:00","2003-10-11T13:13:46-04:00",["2020-02-29","2024-02-29"]]
from datetime import date
from dateutil import parser, relativedelta, rrule, tz
when = parser.parse("Sat Oct 11 17:13:46 UTC 2003")
month = when + relativedelta.relativedelta(months=+1)
local = when.astimezone(tz.gettz("America/New_York"))
set_result([month, local, [day.date() for day in rrule.rrule(rrule.YEARLY, dtstart=date(2020, 2, 29), count=2)]])
