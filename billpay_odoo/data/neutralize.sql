-- A copy of a database must not touch ClickPesa, whatever its fields say.
UPDATE payment_provider
   SET state = 'disabled',
       clickpesa_client_id = NULL,
       clickpesa_api_key = NULL,
       clickpesa_checksum_key = NULL,
       clickpesa_old_checksum_keys = NULL,
       clickpesa_confirmation = 'query',
       clickpesa_webhook_token = NULL,
       clickpesa_health_token = NULL
 WHERE code = 'clickpesa';

-- Servers that run on it forget what they keep in memory, the webhook addresses too.
INSERT INTO orm_signaling_default DEFAULT VALUES;
