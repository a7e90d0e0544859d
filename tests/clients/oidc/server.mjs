// A real OpenID provider on loopback (npm: oidc-provider): authorization code with PKCE for a native client, device code, client credentials; refresh
// tokens rotate, and one used twice ends the grant. Whoever comes is logged in and agrees, unless the account of the login hint is "nobody".
//   server.mjs MODULES ISSUED     prints its port; ISSUED gets a line "NAME VALUE" for everything that it gives out
import { createRequire } from 'node:module';
import { appendFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { pathToFileURL } from 'node:url';

const [modules, issued] = process.argv.slice(2);
const found = createRequire(modules + '/').resolve('oidc-provider');
const { Provider } = await import(pathToFileURL(found));
const note = (name, value) => value && appendFileSync(issued, `${name} ${value}\n`);

const server = createServer();
await new Promise((done) => server.listen(0, '127.0.0.1', done));
const issuer = `http://127.0.0.1:${server.address().port}`;
const form = (ctx, html) => { ctx.type = 'html'; ctx.body = html; };
const provider = new Provider(issuer, {
  clients: [
    { client_id: 'broker', application_type: 'native', token_endpoint_auth_method: 'none', redirect_uris: ['http://127.0.0.1/callback'], response_types: ['code'],
      grant_types: ['authorization_code', 'refresh_token', 'urn:ietf:params:oauth:grant-type:device_code'] },
    { client_id: 'service', client_secret: 'FAKE-service-secret-0123456789', token_endpoint_auth_method: 'client_secret_post', redirect_uris: [],
      response_types: [], grant_types: ['client_credentials'] },
  ],
  features: {
    devInteractions: { enabled: false },
    clientCredentials: { enabled: true },
    deviceFlow: {
      enabled: true,
      userCodeInputSource: async (ctx, html, out, err) => form(ctx, (err ? '<p>error</p>' : '') + html),
      userCodeConfirmSource: async (ctx, html) => form(ctx, html),
      successSource: async (ctx) => form(ctx, 'device: agreed'),
    },
  },
  pkce: { required: () => true },
  rotateRefreshToken: true,
  issueRefreshToken: async (ctx, client) => client.grantTypeAllowed('refresh_token'),
  ttl: { AccessToken: 600, ClientCredentials: 600, DeviceCode: 120, RefreshToken: 3600, Grant: 3600, Session: 3600, Interaction: 600, IdToken: 600 },
  cookies: { keys: ['for a test'] },
  findAccount: async (ctx, id) => ({ accountId: id, claims: async () => ({ sub: id, email: 'someone@example.invalid' }) }),
  claims: { openid: ['sub'], email: ['email'] },
  scopes: ['openid', 'offline_access', 'email'],
  interactions: { url: (ctx, interaction) => `/interaction/${interaction.uid}` },
});

async function agree(ctx) {
  const { prompt, params, session, grantId } = await provider.interactionDetails(ctx.req, ctx.res);
  if (params.login_hint === 'nobody')
    return provider.interactionFinished(ctx.req, ctx.res, { error: 'access_denied' }, { mergeWithLastSubmission: false });
  if (prompt.name === 'login')
    return provider.interactionFinished(ctx.req, ctx.res, { login: { accountId: 'someone' } }, { mergeWithLastSubmission: false });
  const grant = grantId ? await provider.Grant.find(grantId) : new provider.Grant({ accountId: session.accountId, clientId: params.client_id });
  grant.addOIDCScope(params.scope);
  return provider.interactionFinished(ctx.req, ctx.res, { consent: { grantId: await grant.save() } }, { mergeWithLastSubmission: true });
}

provider.use(async (ctx, next) => {
  if (ctx.path.startsWith('/interaction/')) {
    ctx.respond = false;
    return agree(ctx);
  }
  await next();
  const body = ctx.body ?? {};
  for (const name of ['access_token', 'refresh_token', 'id_token', 'device_code']) note(name, body[name]);
  const to = ctx.response.get('location');
  if (to?.includes('code=')) note('code', new URL(to, issuer).searchParams.get('code'));
});
server.on('request', provider.callback());
console.log(server.address().port);
