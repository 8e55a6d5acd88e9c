package hub

// Models in registries of the Open Container Initiative (distribution specification 1.1), as Ollama and
// Docker publish them: a manifest names the layers, one of which is the GGUF. They are kept in Ollama's
// layout, so that each finds what the other fetched:
//
//	MODELS/manifests/<host>/<repository>/<tag>   the manifest
//	MODELS/blobs/sha256-<hex>                    a layer
//	MODELS/haenyeo/                              what is being fetched: Ollama clears blobs of all else

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/haenyeo/haenyeo/internal/atomicfile"
	"github.com/haenyeo/haenyeo/internal/regular"
)

const (
	ollamaHost   = "registry.ollama.ai"
	maxManifest  = 4 << 20
	maxLayers    = 1000
	manifestMime = "application/vnd.oci.image.manifest.v1+json, application/vnd.docker.distribution.manifest.v2+json"
)

// modelMimes are the media types of layers that are a GGUF.
var modelMimes = map[string]bool{
	"application/vnd.ollama.image.model": true,
	"application/vnd.docker.ai.gguf.v3":  true,
}

// Image is the name of a model in a registry.
type Image struct {
	Host string // with port
	Repo string // such as library/deepseek-r1
	Tag  string
}

var (
	imageHost = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?(:[0-9]{1,5})?$`)
	imagePart = regexp.MustCompile(`^[A-Za-z0-9]+([._-]+[A-Za-z0-9]+)*$`)
	imageTag  = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$`)
)

// ParseImage reads oci://host/repository:tag, or ollama.com/name:tag. ok is false for other names.
func ParseImage(s string) (image Image, ok bool, err error) {
	rest, ok := strings.CutPrefix(s, "oci://")
	if !ok {
		for _, site := range []string{"https://ollama.com/", "ollama.com/", ollamaHost + "/"} {
			if cut, is := strings.CutPrefix(s, site); is {
				rest, ok = ollamaHost+"/"+cut, true
				break
			}
		}
	}
	if !ok {
		return Image{}, false, nil
	}
	host, repo, _ := strings.Cut(rest, "/")
	repo, tag, tagged := strings.Cut(repo, ":")
	if !tagged {
		tag = "latest"
	}
	if host == ollamaHost && !strings.Contains(repo, "/") {
		repo = "library/" + repo
	}
	good := imageHost.MatchString(host) && imageTag.MatchString(tag) && len(repo) <= 255
	for _, part := range strings.Split(repo, "/") {
		good = good && imagePart.MatchString(part)
	}
	if !good || checkPortable(repo) != nil || checkPortable(tag) != nil {
		return Image{}, true, fmt.Errorf("hub: image %q: a name has the form oci://host/repository:tag", s)
	}
	return Image{host, repo, tag}, true, nil
}

// String is the image as ParseImage reads it.
func (i Image) String() string { return "oci://" + i.Host + "/" + i.Repo + ":" + i.Tag }

// base is the address of the registry. As with other programs, one on this machine needs no certificate.
func (i Image) base() string {
	host, _, _ := strings.Cut(i.Host, ":")
	if isLoopback(host) {
		return "http://" + i.Host
	}
	return "https://" + i.Host
}

// layer is a part of an image.
type layer struct {
	MediaType string `json:"mediaType"`
	Digest    string `json:"digest"`
	Size      int64  `json:"size"`
}

// hash is the SHA-256 of a layer, "" when its digest is another one.
func (l layer) hash() string {
	hex, ok := strings.CutPrefix(l.Digest, "sha256:")
	if !ok {
		return ""
	}
	return hexTag(hex, 64)
}

// parseManifest returns the layers of an image and which one is the model.
func parseManifest(b []byte) (layers []layer, model layer, err error) {
	var m struct {
		Config layer   `json:"config"`
		Layers []layer `json:"layers"`
	}
	if err := json.Unmarshal(b, &m); err != nil {
		return nil, layer{}, fmt.Errorf("the answer is no manifest: %w", err)
	}
	if len(m.Layers) > maxLayers {
		return nil, layer{}, fmt.Errorf("the manifest has %d layers, more than %d", len(m.Layers), maxLayers)
	}
	models := 0
	seen := map[string]int64{}
	for _, l := range append(m.Layers, m.Config) {
		if l.Digest == "" && l.MediaType == "" && l.Size == 0 {
			continue // no config
		}
		hash := l.hash()
		if hash == "" || l.Size < 0 || l.Size > maxSize {
			return nil, layer{}, fmt.Errorf("layer %q of %d bytes: only SHA-256 and sizes that can be are read", oneLine(l.Digest), l.Size)
		}
		if size, twice := seen[hash]; twice {
			if size != l.Size {
				return nil, layer{}, fmt.Errorf("layer %s has two sizes", l.Digest)
			}
			continue
		}
		seen[hash] = l.Size
		layers = append(layers, l)
		if modelMimes[l.MediaType] {
			models++
			model = l
		}
	}
	if models != 1 {
		return nil, layer{}, fmt.Errorf("the image has %d layers that are a GGUF; one is needed: is it a model?", models)
	}
	return layers, model, nil
}

func (c *Client) manifest(i Image) string {
	return filepath.Join(c.Images, "manifests", i.Host, filepath.FromSlash(i.Repo), i.Tag)
}

func (c *Client) layerPath(l layer) string {
	return filepath.Join(c.Images, "blobs", "sha256-"+l.hash())
}

// PullImage fetches the layers of an image, as Pull does the files of a repository.
func (c *Client) PullImage(ctx context.Context, i Image, o Options) (Snapshot, error) {
	if len(o.Include) > 0 || len(o.Exclude) > 0 || o.Dir != "" {
		return Snapshot{}, errors.New("hub: an image is fetched whole and into its store: leave patterns and directory out")
	}
	if c.Images == "" {
		return Snapshot{}, errNoCache
	}
	if c.Offline {
		path, l, err := c.storedModel(i)
		if err != nil {
			return Snapshot{}, fmt.Errorf("%w (HF_HUB_OFFLINE is set: unset it to ask the registry)", err)
		}
		got, err := sumKept(ctx, path, l.Size, l.hash())
		if err != nil {
			return Snapshot{}, err
		}
		f := File{Name: filepath.Base(path), Path: path, Size: l.Size, SHA256: got.sha256, Cached: true}
		if o.Done != nil {
			o.Done(f)
		}
		return Snapshot{Repo: i.Repo, Commit: l.Digest, Path: path, Files: []File{f}}, nil
	}
	at := *c
	at.Base, at.Token = i.base(), ""
	s, err := at.newSession()
	if err != nil {
		return Snapshot{}, err
	}
	defer s.close()
	s.accept, s.login = manifestMime, true
	v2 := i.base() + "/v2/" + i.Repo
	body, _, _, err := s.document(ctx, v2+"/manifests/"+i.Tag)
	if isStatus(err, http.StatusNotFound) {
		return Snapshot{}, fmt.Errorf("hub: %s is not there: check name and tag: %w", i, err)
	}
	if err != nil {
		return Snapshot{}, fmt.Errorf("hub: %s: %w", i, err)
	}
	if len(body) > maxManifest {
		return Snapshot{}, fmt.Errorf("hub: %s: a manifest of %d bytes, more than %d", i, len(body), maxManifest)
	}
	layers, model, err := parseManifest(body)
	if err != nil {
		return Snapshot{}, fmt.Errorf("hub: %s: %w", i, err)
	}
	var jobs []*job
	for _, l := range layers {
		j := &job{remote: remote{name: "sha256-" + l.hash(), size: l.Size, tag: l.hash()}, url: v2 + "/blobs/" + l.Digest}
		j.names, j.final = []string{j.name}, c.layerPath(l)
		work := filepath.Join(c.Images, "haenyeo", j.name)
		j.partial, j.record, j.corrupt, j.lock = work+".incomplete", work+".ranges", work+".corrupt", work+".lock"
		if info, err := os.Stat(j.final); err == nil && info.Mode().IsRegular() && info.Size() == j.size {
			j.here = true
		} else {
			j.look()
		}
		jobs = append(jobs, j)
	}
	if err := c.room(jobs); err != nil {
		return Snapshot{}, err
	}
	files, err := s.fetchAll(ctx, jobs, o)
	if err != nil {
		return Snapshot{}, err
	}
	path := c.manifest(i)
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		return Snapshot{}, fmt.Errorf("hub: %w", err)
	}
	if err := atomicfile.WriteFile(path, body); err != nil {
		return Snapshot{}, fmt.Errorf("hub: %w", err)
	}
	return Snapshot{Repo: i.Repo, Commit: model.Digest, Path: c.layerPath(model), Files: files}, nil
}

// storedModel finds the model of an image that was fetched.
func (c *Client) storedModel(i Image) (path string, model layer, err error) {
	if c.Images == "" {
		return "", layer{}, errNoCache
	}
	b, err := regular.ReadFile(c.manifest(i), maxManifest)
	if errors.Is(err, fs.ErrNotExist) {
		return "", layer{}, fmt.Errorf("hub: image %s is %w %s: fetch it first: haenyeo pull %s", i, ErrNotCached, c.Images, i)
	}
	if err != nil {
		return "", layer{}, fmt.Errorf("hub: %w", err)
	}
	if _, model, err = parseManifest(b); err != nil {
		return "", layer{}, fmt.Errorf("hub: %q: %w", c.manifest(i), err)
	}
	path = c.layerPath(model)
	if info, err := os.Stat(path); err != nil || info.Size() != model.Size {
		return "", layer{}, fmt.Errorf("hub: image %s is incomplete: %q is missing or has another size than %d: fetch it again: haenyeo pull %s", i, path, model.Size, i)
	}
	return path, model, nil
}

var challengeField = regexp.MustCompile(`([a-z]+)="([^"]*)"`)

// logIn answers the challenge of a registry, which gives anybody a token to read public images.
func (s *session) logIn(ctx context.Context, challenge string) (string, error) {
	fields := map[string]string{}
	if strings.HasPrefix(strings.ToLower(challenge), "bearer ") {
		for _, m := range challengeField.FindAllStringSubmatch(challenge, -1) {
			fields[m[1]] = m[2]
		}
	}
	realm, err := url.Parse(fields["realm"])
	if err != nil || realm.Host == "" || realm.Scheme != "https" && !(realm.Scheme == "http" && isLoopback(realm.Hostname())) {
		return "", errors.New("the registry asks for a login that this program does not know")
	}
	query := realm.Query()
	for _, f := range []string{"service", "scope"} {
		if v := fields[f]; v != "" {
			query.Set(f, v)
		}
	}
	realm.RawQuery, realm.User = query.Encode(), nil
	anonymous := &session{c: s.c, base: s.base, http: s.http, idle: s.idle}
	body, _, _, err := anonymous.document(ctx, realm.String())
	if err != nil {
		return "", err
	}
	var answer struct {
		Token       string `json:"token"`
		AccessToken string `json:"access_token"`
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		return "", fmt.Errorf("the login of the registry: %w", err)
	}
	token := answer.Token
	if token == "" {
		token = answer.AccessToken
	}
	if token == "" || !isToken(token) {
		return "", errors.New("the login of the registry gives no token")
	}
	return token, nil
}
