-- resume: a receiver that was paused is called again, and what is counted of its failures begins anew.
-- One script, because the index and the record must say the same.
--
-- ARGV  1 receiver's id
-- Reply 1, or 0 where it was not paused and nothing was changed

local id = ARGV[1]
if put('ZREM', K.paused, id) == 0 then return 0 end
put('HDEL', K.receiver .. id, 'paused', 'reason', 'failing', 'error')
return 1
