-- Removes the finished prefix of a stream: everything before the oldest pending entry or, with nothing pending, before the
-- last delivered one, which itself must stay: Redis 7.0 reports no lag once the entry at last-delivered-id is gone.
-- KEYS[1] stream, ARGV[1] group. Returns the number of entries removed.
local oldest = redis.call('XPENDING', KEYS[1], ARGV[1])[2]
if not oldest then
    for _, group in ipairs(redis.call('XINFO', 'GROUPS', KEYS[1])) do
        local info = {}
        for i = 1, #group, 2 do
            info[group[i]] = group[i + 1]
        end
        if info['name'] == ARGV[1] then
            oldest = info['last-delivered-id']
        end
    end
end
if not oldest or oldest == '0-0' then
    return 0
end
return redis.call('XTRIM', KEYS[1], 'MINID', oldest)
