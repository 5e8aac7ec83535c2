-- hold: a queue, or a handler, is paused: workers begin none of its jobs until it is resumed.
-- One script, because of two who pause it at once the first is the one that is remembered.
--
-- ARGV  1 'queue' | 'handler' · 2 its name · 3 who wants it
-- Reply 1, or 0 where it was paused before and nothing was changed

local field = ARGV[1] .. ' ' .. ARGV[2]
if put('HEXISTS', K.held_back, field) == 1 then return 0 end
put('HSET', K.held_back, field, cjson.encode({at = now, by = ARGV[3]}))
redis.call('PUBLISH', K.wake, 'orders')
return 1
