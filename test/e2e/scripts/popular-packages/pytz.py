# packages: pytz
# result: ["2002-10-27T06:00:00-05:00","2002-10-27T11:00:00+00:00",["Pacific/Auckland","Pacific/Chatham"]]
from datetime import datetime
import pytz
eastern = pytz.timezone("US/Eastern")
local = eastern.localize(datetime(2002, 10, 27, 6, 0, 0))
set_result([local, local.astimezone(pytz.utc), pytz.country_timezones["nz"]])
