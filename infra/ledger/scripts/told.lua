-- told: somebody was told that a trouble began, or that it ended, with which it goes.
-- One script, because what has begun anew meanwhile must not go with it.
--
-- ARGV  1 key · 2 id · 3 'began' | 'ended'
-- Reply 1, or 0 where there is no such trouble any more

local id, began, ended, rest = string.match(fields(K.troubles, ARGV[1])[1] or '', '^(%S+) (%d+) (%d+) [01](.*)$')
if id ~= ARGV[2] then return 0 end
if ARGV[3] == 'began' then
  redis.call('HSET', K.troubles, ARGV[1], table.concat({id, began, ended, '1' .. rest}, ' '))
elseif ended ~= '0' then
  redis.call('HDEL', K.troubles, ARGV[1])
end
return 1
