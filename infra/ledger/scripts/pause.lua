-- pause: nothing more is sent to a receiver until it is resumed. What waits for it is made a dead letter when it falls due.
-- One script, because the index and the record must say the same.
--
-- ARGV  1 receiver's id · 2 its URL · 3 reason
-- Reply 1, or 0 where it was paused before and nothing was changed

local id = ARGV[1]
if put('ZSCORE', K.paused, id) then return 0 end
put('HSET', K.receiver .. id, 'url', ARGV[2], 'seen', whole(now), 'paused', whole(now), 'reason', ARGV[3])
put('ZADD', K.receivers, whole(now), id)
put('ZADD', K.paused, whole(now), id)
return 1
