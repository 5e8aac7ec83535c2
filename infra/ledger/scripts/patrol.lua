-- patrol: whether the sweeper's walks have anything to look at, and how many workers live. Nothing changes.
-- One script, because an idle worker should ask one question, not ten.
--
-- ARGV  1 shortest retention in ms
-- Reply {1 if there is nothing to look at, number of workers whose lease holds}

local function is_empty(index)
  return put('ZCARD', index) == 1 and put('ZSCORE', index, MARK)
end

local past = put('ZRANGE', K.jobs, '(0', whole(now - tonumber(ARGV[1])), 'BYSCORE', 'LIMIT', '0', '1')
local quiet = is_empty(K.open) and is_empty(K.callbacks_as .. 'pending') and put('ZSCORE', K.jobs, MARK) and not past[1]
  and redis.call('EXISTS', K.cursor .. 'rebuild') == 0 and put('ZCOUNT', K.leases, '-inf', whole(now)) == 0
return {quiet and 1 or 0, put('ZCOUNT', K.leases, '(' .. whole(now), '+inf')}
