-- Removes a consumer that has nothing pending. Check and removal are one step, because XGROUP DELCONSUMER drops what is
-- pending, and it would never be delivered again.
-- KEYS[1] stream, ARGV[1] group, ARGV[2] consumer. Returns the number of its pending entries (0: removed), or -1 when there
-- is no such consumer.
for _, consumer in ipairs(redis.call('XINFO', 'CONSUMERS', KEYS[1], ARGV[1])) do
    local info = {}
    for i = 1, #consumer, 2 do
        info[consumer[i]] = consumer[i + 1]
    end
    if info['name'] == ARGV[2] then
        if info['pending'] == 0 then
            redis.call('XGROUP', 'DELCONSUMER', KEYS[1], ARGV[1], ARGV[2])
        end
        return info['pending']
    end
end
return -1
