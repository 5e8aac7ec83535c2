-- audit: notes what somebody did at the console; the oldest beyond the bound goes.
-- One script, because the list has to stay bounded whatever happens between the two commands.
--
-- ARGV  1 who · 2 what · 3 to what · 4 from which address · 5 how many are kept
-- Reply 1

put('LPUSH', K.audit, cjson.encode({at = now, by = ARGV[1], act = ARGV[2], on = ARGV[3], from = ARGV[4]}))
redis.call('LTRIM', K.audit, '0', whole(tonumber(ARGV[5]) - 1))
return 1
