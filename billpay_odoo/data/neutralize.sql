-- A copy of a database must not touch ClickPesa, whatever its fields say.
UPDATE payment_provider
   SET state = 'disabled',
       clickpesa_client_id = NULL,
       clickpesa_api_key = NULL,
       clickpesa_checksum_key = NULL,
       clickpesa_confirmation = 'query',
       clickpesa_webhook_token = NULL
 WHERE code = 'clickpesa';
