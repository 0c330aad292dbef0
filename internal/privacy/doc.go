// Package privacy holds the installation's secrets and what is made with them: the master key and the workspaces' keys that
// it seals, hashed user keys (P1), API keys, and the keyed identities of rows.
package privacy
