{{- define "data-direct.name" -}}
{{ default .Chart.Name .Values.nameOverride | trunc 45 | trimSuffix "-" }}
{{- end }}

{{- /* At most 45 characters: the longest suffix, -operator-events, must fit in 63. */ -}}
{{- define "data-direct.fullname" -}}
{{- $name := include "data-direct.name" . -}}
{{- $both := ternary .Release.Name (printf "%s-%s" .Release.Name $name) (contains $name .Release.Name) -}}
{{ default $both .Values.fullnameOverride | trunc 45 | trimAll "-." }}
{{- end }}

{{- define "data-direct.image" -}}
{{ .Values.image.repository }}:{{ default .Chart.AppVersion .Values.image.tag }}
{{- end }}

{{- /* What a person or a release names is quoted everywhere: to YAML a release called 123 or true is no string. */ -}}
{{- define "data-direct.selectorLabels" -}}
app.kubernetes.io/name: {{ include "data-direct.name" . | quote }}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
{{- end }}

{{- define "data-direct.labels" -}}
{{ include "data-direct.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/part-of: data-direct
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end }}

{{- /*
Labels of pods: nothing that changes with each chart. An agent that restarts for a label would leave its node without paths meanwhile.
The argument has root and component.
*/ -}}
{{- define "data-direct.podLabels" -}}
{{ include "data-direct.selectorLabels" .root }}
app.kubernetes.io/component: {{ .component }}
{{- with (get .root.Values .component).podLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- /* A changed configuration is read by new pods only. */ -}}
{{- define "data-direct.podAnnotations" -}}
checksum/config: {{ include (printf "data-direct.%sConfig" .component) .root | sha256sum }}
{{- with (get .root.Values .component).podAnnotations }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- /* Where pods run; the argument is their values: agent or operator. */ -}}
{{- define "data-direct.placement" -}}
nodeSelector:
  {{- merge (dict "kubernetes.io/os" "linux") .nodeSelector | toYaml | nindent 2 }}
{{- with .affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .priorityClassName }}
priorityClassName: {{ . | quote }}
{{- end }}
{{- end }}

{{- define "data-direct.agentConfig" -}}
{{- $config := dict "logLevel" .Values.logLevel "rescanSeconds" .Values.agent.rescanSeconds "http" (include "data-direct.http" . | fromJson) }}
{{- with .Values.agent.cdiDir }}
{{- $_ := set $config "cdiDir" . }}
{{- end }}
{{- if .Values.agent.rdmaCore.mount }}
{{- if not .Values.agent.cdiDir }}
{{- fail "agent.rdmaCore.mount needs agent.cdiDir: libraries are mounted by CDI" }}
{{- end }}
{{- $_ := set $config "rdmaCore" (dict "root" "/host/root" "oldestGlibc" .Values.agent.rdmaCore.oldestGlibc) }}
{{- end }}
{{- if .Values.virtualHost.fixture }}
{{- $_ := set $config "virtualHost" (dict "fixture" .Values.virtualHost.fixture) }}
{{- else }}
{{- $_ := set $config "hostRoots" (dict "sysfs" "/host/sys" "proc" "/host/proc/1" "dev" "/host/dev") }}
{{- end }}
{{- toPrettyJson $config }}
{{- end }}

{{- define "data-direct.operatorConfig" -}}
{{- $name := dict "name" (printf "%s-operator" (include "data-direct.fullname" .)) }}
{{- dict "logLevel" .Values.logLevel "lease" $name "deployment" $name "http" (include "data-direct.http" . | fromJson) | toPrettyJson }}
{{- end }}

{{- /* How pages are served; the certificate is where data-direct.tlsMount puts it. */ -}}
{{- define "data-direct.http" -}}
{{- $http := dict "metricsAccess" .Values.metrics.access }}
{{- if .Values.metrics.tlsSecret }}
{{- $_ := set $http "tls" (dict "certificate" "/etc/data-direct-tls/tls.crt" "key" "/etc/data-direct-tls/tls.key") }}
{{- end }}
{{- toJson $http }}
{{- end }}

{{- define "data-direct.tlsMount" -}}
{{- if .Values.metrics.tlsSecret }}
- name: tls
  mountPath: /etc/data-direct-tls
  readOnly: true
{{- end }}
{{- end }}

{{- define "data-direct.tlsVolume" -}}
{{- if .Values.metrics.tlsSecret }}
- name: tls
  secret:
    secretName: {{ .Values.metrics.tlsSecret | quote }}
{{- end }}
{{- end }}

{{- /* The kubelet does not check the certificate. */ -}}
{{- define "data-direct.probes" -}}
{{- $scheme := ternary "HTTPS" "HTTP" (ne .Values.metrics.tlsSecret "") -}}
# Asked often until it is ready for the first time, so that a rollout takes a second or two a node, and then seldom. After ten minutes of
# that the container is started again.
startupProbe:
  httpGet:
    path: /readyz
    port: http
    scheme: {{ $scheme }}
  periodSeconds: 1
  timeoutSeconds: 5
  failureThreshold: 600
livenessProbe:
  httpGet:
    path: /healthz
    port: http
    scheme: {{ $scheme }}
  periodSeconds: 15
  timeoutSeconds: 5
  failureThreshold: 4
readinessProbe:
  httpGet:
    path: /readyz
    port: http
    scheme: {{ $scheme }}
  periodSeconds: 5
  timeoutSeconds: 5
{{- end }}

{{- /* Whether who asks for /metrics may have them is the API server's to say. */ -}}
{{- define "data-direct.metricsReviewer" -}}
{{- if eq .Values.metrics.access "TokenReview" }}
  # Whose token it is that came with a request for /metrics, and whether that one may.
  - apiGroups: [authentication.k8s.io]
    resources: [tokenreviews]
    verbs: [create]
  - apiGroups: [authorization.k8s.io]
    resources: [subjectaccessreviews]
    verbs: [create]
{{- end }}
{{- end }}

{{- /* The operator's container, and that of the Job which runs its program at the end. */ -}}
{{- define "data-direct.operatorSecurityContext" -}}
# Speaks to the API server and to nothing else.
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
seccompProfile:
  type: RuntimeDefault
{{- end }}

{{- define "data-direct.podEnv" -}}
- name: POD_NAMESPACE
  valueFrom:
    fieldRef:
      fieldPath: metadata.namespace
- name: POD_NAME
  valueFrom:
    fieldRef:
      fieldPath: metadata.name
{{- end }}

{{- /* The right to write Events about cluster-scoped objects, which the API server wants in the namespace default. */ -}}
{{- define "data-direct.eventWriter" -}}
{{- $name := printf "%s-%s-events" (include "data-direct.fullname" .root) .component -}}
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata:
  name: {{ $name }}
  namespace: default
  labels:
    {{- include "data-direct.labels" .root | nindent 4 }}
    app.kubernetes.io/component: {{ .component }}
rules:
  # Transitions, for kubectl describe. A repetition is counted in the Event that is there.
  - apiGroups: [events.k8s.io]
    resources: [events]
    verbs: [create, patch]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata:
  name: {{ $name }}
  namespace: default
  labels:
    {{- include "data-direct.labels" .root | nindent 4 }}
    app.kubernetes.io/component: {{ .component }}
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: Role
  name: {{ $name }}
subjects:
  - kind: ServiceAccount
    name: {{ include "data-direct.fullname" .root }}-{{ .component }}
    namespace: {{ .root.Release.Namespace | quote }}
{{- end }}

{{- /* What the retire Job stands on: made before it (weight 1), gone after it whether or not it succeeded. */ -}}
{{- define "data-direct.retireMetadata" -}}
labels:
  {{- include "data-direct.labels" . | nindent 2 }}
  app.kubernetes.io/component: retire
annotations:
  helm.sh/hook: pre-delete
  helm.sh/hook-weight: '0'
  helm.sh/hook-delete-policy: before-hook-creation,hook-succeeded,hook-failed
{{- end }}
