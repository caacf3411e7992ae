// package: v1beta1
// file: deviceplugin.proto

/* tslint:disable */
/* eslint-disable */

import * as jspb from "google-protobuf";

export class Empty extends jspb.Message { 

    serializeBinary(): Uint8Array;
    toObject(includeInstance?: boolean): Empty.AsObject;
    static toObject(includeInstance: boolean, msg: Empty): Empty.AsObject;
    static extensions: {[key: number]: jspb.ExtensionFieldInfo<jspb.Message>};
    static extensionsBinary: {[key: number]: jspb.ExtensionFieldBinaryInfo<jspb.Message>};
    static serializeBinaryToWriter(message: Empty, writer: jspb.BinaryWriter): void;
    static deserializeBinary(bytes: Uint8Array): Empty;
    static deserializeBinaryFromReader(message: Empty, reader: jspb.BinaryReader): Empty;
}

export namespace Empty {
    export type AsObject = {
    }
}

export class RegisterRequest extends jspb.Message { 
    getVersion(): string;
    setVersion(value: string): RegisterRequest;
    getEndpoint(): string;
    setEndpoint(value: string): RegisterRequest;
    getResourceName(): string;
    setResourceName(value: string): RegisterRequest;

    hasOptions(): boolean;
    clearOptions(): void;
    getOptions(): DevicePluginOptions | undefined;
    setOptions(value?: DevicePluginOptions): RegisterRequest;

    serializeBinary(): Uint8Array;
    toObject(includeInstance?: boolean): RegisterRequest.AsObject;
    static toObject(includeInstance: boolean, msg: RegisterRequest): RegisterRequest.AsObject;
    static extensions: {[key: number]: jspb.ExtensionFieldInfo<jspb.Message>};
    static extensionsBinary: {[key: number]: jspb.ExtensionFieldBinaryInfo<jspb.Message>};
    static serializeBinaryToWriter(message: RegisterRequest, writer: jspb.BinaryWriter): void;
    static deserializeBinary(bytes: Uint8Array): RegisterRequest;
    static deserializeBinaryFromReader(message: RegisterRequest, reader: jspb.BinaryReader): RegisterRequest;
}

export namespace RegisterRequest {
    export type AsObject = {
        version: string,
        endpoint: string,
        resourceName: string,
        options?: DevicePluginOptions.AsObject,
    }
}

export class DevicePluginOptions extends jspb.Message { 
    getPreStartRequired(): boolean;
    setPreStartRequired(value: boolean): DevicePluginOptions;
    getGetPreferredAllocationAvailable(): boolean;
    setGetPreferredAllocationAvailable(value: boolean): DevicePluginOptions;

    serializeBinary(): Uint8Array;
    toObject(includeInstance?: boolean): DevicePluginOptions.AsObject;
    static toObject(includeInstance: boolean, msg: DevicePluginOptions): DevicePluginOptions.AsObject;
    static extensions: {[key: number]: jspb.ExtensionFieldInfo<jspb.Message>};
    static extensionsBinary: {[key: number]: jspb.ExtensionFieldBinaryInfo<jspb.Message>};
    static serializeBinaryToWriter(message: DevicePluginOptions, writer: jspb.BinaryWriter): void;
    static deserializeBinary(bytes: Uint8Array): DevicePluginOptions;
    static deserializeBinaryFromReader(message: DevicePluginOptions, reader: jspb.BinaryReader): DevicePluginOptions;
}

export namespace DevicePluginOptions {
    export type AsObject = {
        preStartRequired: boolean,
        getPreferredAllocationAvailable: boolean,
    }
}

export class ListAndWatchResponse extends jspb.Message { 
    clearDevicesList(): void;
    getDevicesList(): Array<Device>;
    setDevicesList(value: Array<Device>): ListAndWatchResponse;
    addDevices(value?: Device, index?: number): Device;

    serializeBinary(): Uint8Array;
    toObject(includeInstance?: boolean): ListAndWatchResponse.AsObject;
    static toObject(includeInstance: boolean, msg: ListAndWatchResponse): ListAndWatchResponse.AsObject;
    static extensions: {[key: number]: jspb.ExtensionFieldInfo<jspb.Message>};
    static extensionsBinary: {[key: number]: jspb.ExtensionFieldBinaryInfo<jspb.Message>};
    static serializeBinaryToWriter(message: ListAndWatchResponse, writer: jspb.BinaryWriter): void;
    static deserializeBinary(bytes: Uint8Array): ListAndWatchResponse;
    static deserializeBinaryFromReader(message: ListAndWatchResponse, reader: jspb.BinaryReader): ListAndWatchResponse;
}

export namespace ListAndWatchResponse {
    export type AsObject = {
        devicesList: Array<Device.AsObject>,
    }
}

export class Device extends jspb.Message { 
    getId(): string;
    setId(value: string): Device;
    getHealth(): string;
    setHealth(value: string): Device;

    hasTopology(): boolean;
    clearTopology(): void;
    getTopology(): TopologyInfo | undefined;
    setTopology(value?: TopologyInfo): Device;

    serializeBinary(): Uint8Array;
    toObject(includeInstance?: boolean): Device.AsObject;
    static toObject(includeInstance: boolean, msg: Device): Device.AsObject;
    static extensions: {[key: number]: jspb.ExtensionFieldInfo<jspb.Message>};
    static extensionsBinary: {[key: number]: jspb.ExtensionFieldBinaryInfo<jspb.Message>};
    static serializeBinaryToWriter(message: Device, writer: jspb.BinaryWriter): void;
    static deserializeBinary(bytes: Uint8Array): Device;
    static deserializeBinaryFromReader(message: Device, reader: jspb.BinaryReader): Device;
}

export namespace Device {
    export type AsObject = {
        id: string,
        health: string,
        topology?: TopologyInfo.AsObject,
    }
}

export class TopologyInfo extends jspb.Message { 
    clearNodesList(): void;
    getNodesList(): Array<NUMANode>;
    setNodesList(value: Array<NUMANode>): TopologyInfo;
    addNodes(value?: NUMANode, index?: number): NUMANode;

    serializeBinary(): Uint8Array;
    toObject(includeInstance?: boolean): TopologyInfo.AsObject;
    static toObject(includeInstance: boolean, msg: TopologyInfo): TopologyInfo.AsObject;
    static extensions: {[key: number]: jspb.ExtensionFieldInfo<jspb.Message>};
    static extensionsBinary: {[key: number]: jspb.ExtensionFieldBinaryInfo<jspb.Message>};
    static serializeBinaryToWriter(message: TopologyInfo, writer: jspb.BinaryWriter): void;
    static deserializeBinary(bytes: Uint8Array): TopologyInfo;
    static deserializeBinaryFromReader(message: TopologyInfo, reader: jspb.BinaryReader): TopologyInfo;
}

export namespace TopologyInfo {
    export type AsObject = {
        nodesList: Array<NUMANode.AsObject>,
    }
}

export class NUMANode extends jspb.Message { 
    getId(): number;
    setId(value: number): NUMANode;

    serializeBinary(): Uint8Array;
    toObject(includeInstance?: boolean): NUMANode.AsObject;
    static toObject(includeInstance: boolean, msg: NUMANode): NUMANode.AsObject;
    static extensions: {[key: number]: jspb.ExtensionFieldInfo<jspb.Message>};
    static extensionsBinary: {[key: number]: jspb.ExtensionFieldBinaryInfo<jspb.Message>};
    static serializeBinaryToWriter(message: NUMANode, writer: jspb.BinaryWriter): void;
    static deserializeBinary(bytes: Uint8Array): NUMANode;
    static deserializeBinaryFromReader(message: NUMANode, reader: jspb.BinaryReader): NUMANode;
}

export namespace NUMANode {
    export type AsObject = {
        id: number,
    }
}

export class PreferredAllocationRequest extends jspb.Message { 
    clearContainerRequestsList(): void;
    getContainerRequestsList(): Array<ContainerPreferredAllocationRequest>;
    setContainerRequestsList(value: Array<ContainerPreferredAllocationRequest>): PreferredAllocationRequest;
    addContainerRequests(value?: ContainerPreferredAllocationRequest, index?: number): ContainerPreferredAllocationRequest;

    serializeBinary(): Uint8Array;
    toObject(includeInstance?: boolean): PreferredAllocationRequest.AsObject;
    static toObject(includeInstance: boolean, msg: PreferredAllocationRequest): PreferredAllocationRequest.AsObject;
    static extensions: {[key: number]: jspb.ExtensionFieldInfo<jspb.Message>};
    static extensionsBinary: {[key: number]: jspb.ExtensionFieldBinaryInfo<jspb.Message>};
    static serializeBinaryToWriter(message: PreferredAllocationRequest, writer: jspb.BinaryWriter): void;
    static deserializeBinary(bytes: Uint8Array): PreferredAllocationRequest;
    static deserializeBinaryFromReader(message: PreferredAllocationRequest, reader: jspb.BinaryReader): PreferredAllocationRequest;
}

export namespace PreferredAllocationRequest {
    export type AsObject = {
        containerRequestsList: Array<ContainerPreferredAllocationRequest.AsObject>,
    }
}

export class ContainerPreferredAllocationRequest extends jspb.Message { 
    clearAvailableDeviceidsList(): void;
    getAvailableDeviceidsList(): Array<string>;
    setAvailableDeviceidsList(value: Array<string>): ContainerPreferredAllocationRequest;
    addAvailableDeviceids(value: string, index?: number): string;
    clearMustIncludeDeviceidsList(): void;
    getMustIncludeDeviceidsList(): Array<string>;
    setMustIncludeDeviceidsList(value: Array<string>): ContainerPreferredAllocationRequest;
    addMustIncludeDeviceids(value: string, index?: number): string;
    getAllocationSize(): number;
    setAllocationSize(value: number): ContainerPreferredAllocationRequest;

    serializeBinary(): Uint8Array;
    toObject(includeInstance?: boolean): ContainerPreferredAllocationRequest.AsObject;
    static toObject(includeInstance: boolean, msg: ContainerPreferredAllocationRequest): ContainerPreferredAllocationRequest.AsObject;
    static extensions: {[key: number]: jspb.ExtensionFieldInfo<jspb.Message>};
    static extensionsBinary: {[key: number]: jspb.ExtensionFieldBinaryInfo<jspb.Message>};
    static serializeBinaryToWriter(message: ContainerPreferredAllocationRequest, writer: jspb.BinaryWriter): void;
    static deserializeBinary(bytes: Uint8Array): ContainerPreferredAllocationRequest;
    static deserializeBinaryFromReader(message: ContainerPreferredAllocationRequest, reader: jspb.BinaryReader): ContainerPreferredAllocationRequest;
}

export namespace ContainerPreferredAllocationRequest {
    export type AsObject = {
        availableDeviceidsList: Array<string>,
        mustIncludeDeviceidsList: Array<string>,
        allocationSize: number,
    }
}

export class PreferredAllocationResponse extends jspb.Message { 
    clearContainerResponsesList(): void;
    getContainerResponsesList(): Array<ContainerPreferredAllocationResponse>;
    setContainerResponsesList(value: Array<ContainerPreferredAllocationResponse>): PreferredAllocationResponse;
    addContainerResponses(value?: ContainerPreferredAllocationResponse, index?: number): ContainerPreferredAllocationResponse;

    serializeBinary(): Uint8Array;
    toObject(includeInstance?: boolean): PreferredAllocationResponse.AsObject;
    static toObject(includeInstance: boolean, msg: PreferredAllocationResponse): PreferredAllocationResponse.AsObject;
    static extensions: {[key: number]: jspb.ExtensionFieldInfo<jspb.Message>};
    static extensionsBinary: {[key: number]: jspb.ExtensionFieldBinaryInfo<jspb.Message>};
    static serializeBinaryToWriter(message: PreferredAllocationResponse, writer: jspb.BinaryWriter): void;
    static deserializeBinary(bytes: Uint8Array): PreferredAllocationResponse;
    static deserializeBinaryFromReader(message: PreferredAllocationResponse, reader: jspb.BinaryReader): PreferredAllocationResponse;
}

export namespace PreferredAllocationResponse {
    export type AsObject = {
        containerResponsesList: Array<ContainerPreferredAllocationResponse.AsObject>,
    }
}

export class ContainerPreferredAllocationResponse extends jspb.Message { 
    clearDeviceidsList(): void;
    getDeviceidsList(): Array<string>;
    setDeviceidsList(value: Array<string>): ContainerPreferredAllocationResponse;
    addDeviceids(value: string, index?: number): string;

    serializeBinary(): Uint8Array;
    toObject(includeInstance?: boolean): ContainerPreferredAllocationResponse.AsObject;
    static toObject(includeInstance: boolean, msg: ContainerPreferredAllocationResponse): ContainerPreferredAllocationResponse.AsObject;
    static extensions: {[key: number]: jspb.ExtensionFieldInfo<jspb.Message>};
    static extensionsBinary: {[key: number]: jspb.ExtensionFieldBinaryInfo<jspb.Message>};
    static serializeBinaryToWriter(message: ContainerPreferredAllocationResponse, writer: jspb.BinaryWriter): void;
    static deserializeBinary(bytes: Uint8Array): ContainerPreferredAllocationResponse;
    static deserializeBinaryFromReader(message: ContainerPreferredAllocationResponse, reader: jspb.BinaryReader): ContainerPreferredAllocationResponse;
}

export namespace ContainerPreferredAllocationResponse {
    export type AsObject = {
        deviceidsList: Array<string>,
    }
}

export class AllocateRequest extends jspb.Message { 
    clearContainerRequestsList(): void;
    getContainerRequestsList(): Array<ContainerAllocateRequest>;
    setContainerRequestsList(value: Array<ContainerAllocateRequest>): AllocateRequest;
    addContainerRequests(value?: ContainerAllocateRequest, index?: number): ContainerAllocateRequest;

    serializeBinary(): Uint8Array;
    toObject(includeInstance?: boolean): AllocateRequest.AsObject;
    static toObject(includeInstance: boolean, msg: AllocateRequest): AllocateRequest.AsObject;
    static extensions: {[key: number]: jspb.ExtensionFieldInfo<jspb.Message>};
    static extensionsBinary: {[key: number]: jspb.ExtensionFieldBinaryInfo<jspb.Message>};
    static serializeBinaryToWriter(message: AllocateRequest, writer: jspb.BinaryWriter): void;
    static deserializeBinary(bytes: Uint8Array): AllocateRequest;
    static deserializeBinaryFromReader(message: AllocateRequest, reader: jspb.BinaryReader): AllocateRequest;
}

export namespace AllocateRequest {
    export type AsObject = {
        containerRequestsList: Array<ContainerAllocateRequest.AsObject>,
    }
}

export class ContainerAllocateRequest extends jspb.Message { 
    clearDevicesIdsList(): void;
    getDevicesIdsList(): Array<string>;
    setDevicesIdsList(value: Array<string>): ContainerAllocateRequest;
    addDevicesIds(value: string, index?: number): string;

    serializeBinary(): Uint8Array;
    toObject(includeInstance?: boolean): ContainerAllocateRequest.AsObject;
    static toObject(includeInstance: boolean, msg: ContainerAllocateRequest): ContainerAllocateRequest.AsObject;
    static extensions: {[key: number]: jspb.ExtensionFieldInfo<jspb.Message>};
    static extensionsBinary: {[key: number]: jspb.ExtensionFieldBinaryInfo<jspb.Message>};
    static serializeBinaryToWriter(message: ContainerAllocateRequest, writer: jspb.BinaryWriter): void;
    static deserializeBinary(bytes: Uint8Array): ContainerAllocateRequest;
    static deserializeBinaryFromReader(message: ContainerAllocateRequest, reader: jspb.BinaryReader): ContainerAllocateRequest;
}

export namespace ContainerAllocateRequest {
    export type AsObject = {
        devicesIdsList: Array<string>,
    }
}

export class AllocateResponse extends jspb.Message { 
    clearContainerResponsesList(): void;
    getContainerResponsesList(): Array<ContainerAllocateResponse>;
    setContainerResponsesList(value: Array<ContainerAllocateResponse>): AllocateResponse;
    addContainerResponses(value?: ContainerAllocateResponse, index?: number): ContainerAllocateResponse;

    serializeBinary(): Uint8Array;
    toObject(includeInstance?: boolean): AllocateResponse.AsObject;
    static toObject(includeInstance: boolean, msg: AllocateResponse): AllocateResponse.AsObject;
    static extensions: {[key: number]: jspb.ExtensionFieldInfo<jspb.Message>};
    static extensionsBinary: {[key: number]: jspb.ExtensionFieldBinaryInfo<jspb.Message>};
    static serializeBinaryToWriter(message: AllocateResponse, writer: jspb.BinaryWriter): void;
    static deserializeBinary(bytes: Uint8Array): AllocateResponse;
    static deserializeBinaryFromReader(message: AllocateResponse, reader: jspb.BinaryReader): AllocateResponse;
}

export namespace AllocateResponse {
    export type AsObject = {
        containerResponsesList: Array<ContainerAllocateResponse.AsObject>,
    }
}

export class ContainerAllocateResponse extends jspb.Message { 

    getEnvsMap(): jspb.Map<string, string>;
    clearEnvsMap(): void;
    clearMountsList(): void;
    getMountsList(): Array<Mount>;
    setMountsList(value: Array<Mount>): ContainerAllocateResponse;
    addMounts(value?: Mount, index?: number): Mount;
    clearDevicesList(): void;
    getDevicesList(): Array<DeviceSpec>;
    setDevicesList(value: Array<DeviceSpec>): ContainerAllocateResponse;
    addDevices(value?: DeviceSpec, index?: number): DeviceSpec;

    getAnnotationsMap(): jspb.Map<string, string>;
    clearAnnotationsMap(): void;
    clearCdiDevicesList(): void;
    getCdiDevicesList(): Array<CDIDevice>;
    setCdiDevicesList(value: Array<CDIDevice>): ContainerAllocateResponse;
    addCdiDevices(value?: CDIDevice, index?: number): CDIDevice;

    serializeBinary(): Uint8Array;
    toObject(includeInstance?: boolean): ContainerAllocateResponse.AsObject;
    static toObject(includeInstance: boolean, msg: ContainerAllocateResponse): ContainerAllocateResponse.AsObject;
    static extensions: {[key: number]: jspb.ExtensionFieldInfo<jspb.Message>};
    static extensionsBinary: {[key: number]: jspb.ExtensionFieldBinaryInfo<jspb.Message>};
    static serializeBinaryToWriter(message: ContainerAllocateResponse, writer: jspb.BinaryWriter): void;
    static deserializeBinary(bytes: Uint8Array): ContainerAllocateResponse;
    static deserializeBinaryFromReader(message: ContainerAllocateResponse, reader: jspb.BinaryReader): ContainerAllocateResponse;
}

export namespace ContainerAllocateResponse {
    export type AsObject = {

        envsMap: Array<[string, string]>,
        mountsList: Array<Mount.AsObject>,
        devicesList: Array<DeviceSpec.AsObject>,

        annotationsMap: Array<[string, string]>,
        cdiDevicesList: Array<CDIDevice.AsObject>,
    }
}

export class Mount extends jspb.Message { 
    getContainerPath(): string;
    setContainerPath(value: string): Mount;
    getHostPath(): string;
    setHostPath(value: string): Mount;
    getReadOnly(): boolean;
    setReadOnly(value: boolean): Mount;

    serializeBinary(): Uint8Array;
    toObject(includeInstance?: boolean): Mount.AsObject;
    static toObject(includeInstance: boolean, msg: Mount): Mount.AsObject;
    static extensions: {[key: number]: jspb.ExtensionFieldInfo<jspb.Message>};
    static extensionsBinary: {[key: number]: jspb.ExtensionFieldBinaryInfo<jspb.Message>};
    static serializeBinaryToWriter(message: Mount, writer: jspb.BinaryWriter): void;
    static deserializeBinary(bytes: Uint8Array): Mount;
    static deserializeBinaryFromReader(message: Mount, reader: jspb.BinaryReader): Mount;
}

export namespace Mount {
    export type AsObject = {
        containerPath: string,
        hostPath: string,
        readOnly: boolean,
    }
}

export class DeviceSpec extends jspb.Message { 
    getContainerPath(): string;
    setContainerPath(value: string): DeviceSpec;
    getHostPath(): string;
    setHostPath(value: string): DeviceSpec;
    getPermissions(): string;
    setPermissions(value: string): DeviceSpec;

    serializeBinary(): Uint8Array;
    toObject(includeInstance?: boolean): DeviceSpec.AsObject;
    static toObject(includeInstance: boolean, msg: DeviceSpec): DeviceSpec.AsObject;
    static extensions: {[key: number]: jspb.ExtensionFieldInfo<jspb.Message>};
    static extensionsBinary: {[key: number]: jspb.ExtensionFieldBinaryInfo<jspb.Message>};
    static serializeBinaryToWriter(message: DeviceSpec, writer: jspb.BinaryWriter): void;
    static deserializeBinary(bytes: Uint8Array): DeviceSpec;
    static deserializeBinaryFromReader(message: DeviceSpec, reader: jspb.BinaryReader): DeviceSpec;
}

export namespace DeviceSpec {
    export type AsObject = {
        containerPath: string,
        hostPath: string,
        permissions: string,
    }
}

export class CDIDevice extends jspb.Message { 
    getName(): string;
    setName(value: string): CDIDevice;

    serializeBinary(): Uint8Array;
    toObject(includeInstance?: boolean): CDIDevice.AsObject;
    static toObject(includeInstance: boolean, msg: CDIDevice): CDIDevice.AsObject;
    static extensions: {[key: number]: jspb.ExtensionFieldInfo<jspb.Message>};
    static extensionsBinary: {[key: number]: jspb.ExtensionFieldBinaryInfo<jspb.Message>};
    static serializeBinaryToWriter(message: CDIDevice, writer: jspb.BinaryWriter): void;
    static deserializeBinary(bytes: Uint8Array): CDIDevice;
    static deserializeBinaryFromReader(message: CDIDevice, reader: jspb.BinaryReader): CDIDevice;
}

export namespace CDIDevice {
    export type AsObject = {
        name: string,
    }
}

export class PreStartContainerRequest extends jspb.Message { 
    clearDevicesIdsList(): void;
    getDevicesIdsList(): Array<string>;
    setDevicesIdsList(value: Array<string>): PreStartContainerRequest;
    addDevicesIds(value: string, index?: number): string;

    serializeBinary(): Uint8Array;
    toObject(includeInstance?: boolean): PreStartContainerRequest.AsObject;
    static toObject(includeInstance: boolean, msg: PreStartContainerRequest): PreStartContainerRequest.AsObject;
    static extensions: {[key: number]: jspb.ExtensionFieldInfo<jspb.Message>};
    static extensionsBinary: {[key: number]: jspb.ExtensionFieldBinaryInfo<jspb.Message>};
    static serializeBinaryToWriter(message: PreStartContainerRequest, writer: jspb.BinaryWriter): void;
    static deserializeBinary(bytes: Uint8Array): PreStartContainerRequest;
    static deserializeBinaryFromReader(message: PreStartContainerRequest, reader: jspb.BinaryReader): PreStartContainerRequest;
}

export namespace PreStartContainerRequest {
    export type AsObject = {
        devicesIdsList: Array<string>,
    }
}

export class PreStartContainerResponse extends jspb.Message { 

    serializeBinary(): Uint8Array;
    toObject(includeInstance?: boolean): PreStartContainerResponse.AsObject;
    static toObject(includeInstance: boolean, msg: PreStartContainerResponse): PreStartContainerResponse.AsObject;
    static extensions: {[key: number]: jspb.ExtensionFieldInfo<jspb.Message>};
    static extensionsBinary: {[key: number]: jspb.ExtensionFieldBinaryInfo<jspb.Message>};
    static serializeBinaryToWriter(message: PreStartContainerResponse, writer: jspb.BinaryWriter): void;
    static deserializeBinary(bytes: Uint8Array): PreStartContainerResponse;
    static deserializeBinaryFromReader(message: PreStartContainerResponse, reader: jspb.BinaryReader): PreStartContainerResponse;
}

export namespace PreStartContainerResponse {
    export type AsObject = {
    }
}
